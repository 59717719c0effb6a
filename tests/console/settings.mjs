// Where the services under test are; deploy/test sets it.

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run deploy/test, or see tests/README.md`);
  return value;
}

/** The address of subscription-api. */
export const URL_OF_API = needed('CONSOLE_URL');
export const SUPPORT_TOKEN = needed('POSTRIDER_SUPPORT_TOKEN');
/** A folder with cert.pem and key.pem, which the deliverer trusts. */
export const CERTIFICATES = needed('CONSOLE_CERTIFICATES');
/** Where screenshots go. */
export const PICTURES = needed('CONSOLE_PICTURES');
export const CHROMIUM = process.env.CONSOLE_CHROMIUM ?? '/usr/bin/chromium';

/** What the platform was started with, so that a webhook is disabled within seconds. */
export const FAILED_DELIVERIES = 3;

/** How long something may take that should come at once: the machine may be busy. */
export const PATIENCE_MS = 45_000;
