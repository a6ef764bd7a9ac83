/** How long what is no longer needed is kept. */

/** Deleted accounts keep their data this long, so that a mistake can be undone; then it is erased. */
export const ERASURE_DELAY_MS = 30 * 86_400_000;

/** Addresses and numbers without an owner: given up, or named once and never proven. */
export const UNOWNED_CONTACT_MS = 30 * 86_400_000;
