/** The one door to hashing; nothing else should reach into this folder. */
export { createHasher, DEFAULT_PARAMS, type Hasher, type HasherOptions, MAX_SECRET_BYTES } from './hasher.ts';
export { foreignHash, type HashParams, isBound } from './phc.ts';
