// @ts-check
/** Hands the steps of this service to the viewer in the frame, to its origin alone and once it has asked for them. */

const KEPT = 1000;
const frame = /** @type {HTMLIFrameElement} */ (document.querySelector('iframe'));
const viewer = new URL(frame.src).origin;
/** @type {object[]} */
const kept = [];
let connected = false;

/** @param {object} message */
const post = (message) => frame.contentWindow?.postMessage(message, viewer);

addEventListener('message', ({ source, origin, data }) => {
  if (source !== frame.contentWindow || origin !== viewer) return;
  if (data?.type !== '@statelyai.connected') return;
  connected = true;
  for (const message of kept) post(message);
});

new EventSource('/dev/api/inspect').addEventListener('message', ({ data }) => {
  const message = JSON.parse(data);
  kept.push(message);
  kept.splice(0, Math.max(0, kept.length - KEPT));
  if (connected) post(message);
});
