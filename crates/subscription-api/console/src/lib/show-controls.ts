// Shows characters that would hide or reorder the text around them.

/** C0 and C1 controls except tabs and line breaks, separators of lines, and bidirectional controls. */
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]/g;

/** Escapes these characters as JSON does, so that data keeps its meaning. */
export const showControls = (text: string): string =>
  text.replace(CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
