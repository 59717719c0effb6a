// Failed requests, with texts for people.

export interface FieldError {
  pointer: string;
  detail: string;
}

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly fieldErrors: FieldError[] = [],
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(detail);
    this.name = 'Problem';
  }

  /** Whether a later request may succeed, because the API or one of its servers was away. */
  get retries(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }

  /** Advice that follows the error message. */
  get advice(): string {
    switch (this.status) {
      case 0:
        return 'Check your connection. This page tries again every few seconds.';
      case 401:
        return 'Sign in again with a valid token.';
      case 403:
        return 'Sign in with a token whose role allows this.';
      case 404:
        return 'It may have been deleted, or it belongs to another brand.';
      case 429:
        return 'Wait a moment, then try again.';
      case 503:
        return "One of the platform's servers is unavailable. Try again soon.";
      default:
        return this.status >= 500 ? 'The platform has logged the error. If it persists, tell support when it happened.' : '';
    }
  }
}

/** Converts any error into a problem. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, error instanceof Error ? error.message : String(error));
}

/** Converts an error response into a problem. */
export async function toResponseProblem(response: Response): Promise<Problem> {
  const retryAfter = Number(response.headers.get('retry-after')) || null;
  try {
    const body = (await response.json()) as { detail?: string; title?: string; errors?: FieldError[] };
    const detail = body.detail ?? body.title ?? response.statusText;
    return new Problem(response.status, detail, body.errors ?? [], retryAfter);
  } catch {
    return new Problem(response.status, response.statusText || `status ${response.status}`, [], retryAfter);
  }
}
