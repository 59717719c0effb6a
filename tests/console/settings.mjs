// The services under test; deploy/test sets these variables.

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run deploy/test, or see tests/README.md`);
  return value;
}

/** RabbitMQ, for events that the API refuses. */
export const AMQP_URL = needed('AMQP_URL');
/** The address of subscription-api. */
export const URL_OF_API = needed('CONSOLE_URL');
export const SUPPORT_TOKEN = needed('POSTRIDER_SUPPORT_TOKEN');
/** A folder with cert.pem and key.pem, which the deliverer trusts. */
export const CERTIFICATES = needed('CONSOLE_CERTIFICATES');
/** The folder for screenshots. */
export const PICTURES = needed('CONSOLE_PICTURES');
export const CHROMIUM = process.env.CONSOLE_CHROMIUM ?? '/usr/bin/chromium';

/** The platform's threshold, so that it disables a webhook within seconds. */
export const FAILED_DELIVERIES = 3;

/** Timeout of things that should happen at once, because the machine may be busy. */
export const PATIENCE_MS = 45_000;
