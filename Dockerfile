# syntax=docker/dockerfile:1
# No build step: Node runs the TypeScript. The image holds the production packages and the sources, nothing else.

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The image brings its own Node, so the packaged one (125 MB) goes again; no install script is needed by any package.
RUN npm ci --omit=dev --ignore-scripts \
 && rm -rf node_modules/node-linux-* node_modules/.bin

FROM node:24-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data \
    NODE_OPTIONS=--max-semi-space-size=16 \
    UV_THREADPOOL_SIZE=8
# A package manager and a compiler cache are of use to intruders only.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
      /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-* \
 && install -d -o 1000 -g 1000 -m 0700 /data
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY docs ./docs
COPY machines ./machines
COPY db ./db
COPY src ./src
RUN ln -s /app/src/cli/main.ts /usr/local/bin/vestibule \
 && install -d -o 1000 -g 1000 node_modules/.cache/compile
USER 1000:1000
# Compiled code is kept per user and Node version, so this start runs as later ones do: it loads everything and ends
# because there is no database.
RUN DB_HOST=127.0.0.1 DB_PORT=1 DB_USER=u DB_PASS=p DB_NAME=n NODE_ENV=development REDIS_URL=redis://127.0.0.1:1 DATA_DIR=/tmp/none \
      vestibule start 2>&1 | grep -q DATABASE_URL \
 && test -n "$(find node_modules/.cache/compile -type f)"
USER 0:0
RUN chown -R 0:0 node_modules/.cache && chmod -R a+rX,go-w node_modules/.cache && rm -rf /tmp/none
# Files belong to root and the process runs as user 1000: it can write to /data alone.
USER 1000:1000
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# `docker run … vestibule keys list` and the like run another command.
CMD ["vestibule", "start"]
