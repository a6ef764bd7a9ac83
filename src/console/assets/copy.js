// @ts-check
/** Copy buttons: they appear only where copying works. */

function setUp() {
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (
    document.querySelectorAll('button[data-copy]')
  )) {
    if (!navigator.clipboard || !button.hidden) continue;
    button.hidden = false;
    const name = button.textContent;
    button.addEventListener('click', async () => {
      const text = button.dataset.copy || button.parentElement?.querySelector('code')?.textContent || '';
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
      } catch {
        button.textContent = 'Not allowed';
      }
      setTimeout(() => {
        button.textContent = name;
      }, 1500);
    });
  }
}

addEventListener('vestibule:swapped', setUp);
setUp();
