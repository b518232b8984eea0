/** Whether keys typed now belong to a text, so that no shortcut may take them. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}

/** A key pressed alone, once, outside of texts. */
export function isPlainKey(event: KeyboardEvent): boolean {
  return !event.ctrlKey && !event.altKey && !event.metaKey && !event.repeat && !event.defaultPrevented && !isTyping(event);
}

/** Whether Enter or Space on what has the focus would press it. */
export function isOnControl(event: KeyboardEvent): boolean {
  const target = event.target;
  return target instanceof HTMLElement && target.closest('button, a[href], [role^="menuitem"], summary') !== null;
}

/** A click by pointer leaves no focus behind, so that Space stays push-to-talk; a click by keyboard keeps it. */
export function dropPointerFocus(event: MouseEvent) {
  if (event.detail > 0 && event.currentTarget instanceof HTMLElement) event.currentTarget.blur();
}
