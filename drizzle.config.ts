/** Settings of drizzle-kit, which only ever writes SQL into db/migrations; db/migrate.ts applies it. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: './db/schema.ts',
  out: './db/migrations',
  casing: 'snake_case',
});
