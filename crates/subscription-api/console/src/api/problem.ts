// What went wrong with a request, in words for people.

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

  /** What the reader can do about it. */
  get advice(): string {
    switch (this.status) {
      case 0:
        return 'Check your connection; this page tries again by itself where it shows live figures.';
      case 401:
        return 'Sign in again with a token that is valid.';
      case 403:
        return 'Sign in with a token whose role allows it.';
      case 404:
        return 'It may have been deleted meanwhile, or it belongs to another brand.';
      case 429:
        return 'Wait a moment, then try again.';
      case 503:
        return 'The platform waits for one of its servers; try again soon.';
      default:
        return this.status >= 500 ? 'It was logged by the platform; if it stays, tell support the time.' : '';
    }
  }
}

/** Any failure as a problem. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, error instanceof Error ? error.message : String(error));
}

/** Reads an error answer. */
export async function problemOfAnswer(answer: Response): Promise<Problem> {
  const retryAfter = Number(answer.headers.get('retry-after')) || null;
  try {
    const body = (await answer.json()) as { detail?: string; title?: string; errors?: FieldError[] };
    const detail = body.detail ?? body.title ?? answer.statusText;
    return new Problem(answer.status, detail, body.errors ?? [], retryAfter);
  } catch {
    return new Problem(answer.status, answer.statusText || `status ${answer.status}`, [], retryAfter);
  }
}
