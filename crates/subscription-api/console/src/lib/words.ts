// Words of the API for people.

/** Formats a word of the API for people: `http_status` becomes `HTTP status`. */
export function humanize(text: string): string {
  const spoken = text.replace(/[_.]/g, ' ').replace(/^(http|dns|tls)\b/, (w) => w.toUpperCase());
  return spoken.charAt(0).toUpperCase() + spoken.slice(1);
}
