/** Messages to people: codes, links, notices, by SMS and mail. */
import type { Feature } from '../../http/feature.ts';
import { noticeDeliveries } from './deliveries.ts';

export const feature = {
  name: 'notices',
  deliveries: noticeDeliveries,
} satisfies Feature;
