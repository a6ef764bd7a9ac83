/** Devices an account has logged in from: what they are called, whether they are trusted, and their end. */
import type { Feature } from '../../http/feature.ts';
import { deviceRoutes } from './routes.ts';

export const feature: Feature = { name: 'devices', routes: deviceRoutes };
