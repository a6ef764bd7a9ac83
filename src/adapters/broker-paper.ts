/**
 * A broker that exists on paper: nothing leaves the process. The access token `paper-<broker user id>` is that user's
 * and works; request tokens of the same form are exchanged for one that ends at 06:00 in Asia/Kolkata like Kite's.
 * `paper-down` stands for a broker that does not answer; every other token is refused. For the demo and development.
 */
import { nextTokenEnd } from './broker-kite.ts';
import { type BrokerPort, BrokerRefused, BrokerUnavailable } from './ports.ts';

const TOKEN = /^paper-([A-Za-z0-9]{2,32})(?:-([0-9a-z]{6,12}))?$/;

export function createPaperBroker({ now }: { now: () => number }): BrokerPort {
  const ownerOf = (token: string): string => {
    if (token === 'paper-down') throw new BrokerUnavailable('The paper broker is down');
    const [, user, end] = TOKEN.exec(token) ?? [];
    if (!user || (end !== undefined && now() >= Number.parseInt(end, 36))) {
      throw new BrokerRefused('The paper broker does not know this token');
    }
    return user;
  };
  return {
    async exchange({ requestToken }) {
      const user = ownerOf(requestToken);
      return { accessToken: `paper-${user}-${nextTokenEnd(now()).toString(36)}`, userId: user };
    },
    profile: async ({ accessToken }) => ({ userId: ownerOf(accessToken) }),
    invalidate: async ({ accessToken }) => void ownerOf(accessToken),
    endOf: nextTokenEnd,
  };
}
