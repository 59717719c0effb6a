// A few lines per language that verify a request with its Standard Webhooks library. The documentation has complete
// receivers for the usual frameworks.

export interface Snippet {
  id: string;
  language: string;
  install: string;
  code: string;
}

export const SNIPPETS: readonly Snippet[] = [
  {
    id: 'node',
    language: 'Node.js',
    install: 'npm install standardwebhooks',
    code: `import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);

// body: the raw text of the request, before any JSON parser
const event = webhook.verify(body, headers);`,
  },
  {
    id: 'python',
    language: 'Python',
    install: 'pip install standardwebhooks',
    code: `import os
from standardwebhooks import Webhook

webhook = Webhook(os.environ["WEBHOOK_SECRET"])

# body: the raw bytes of the request; headers: a dict with lower-case names
event = webhook.verify(body, headers)`,
  },
  {
    id: 'php',
    language: 'PHP',
    install: 'composer require standard-webhooks/standard-webhooks',
    code: `use StandardWebhooks\\Webhook;

$webhook = new Webhook(getenv('WEBHOOK_SECRET'));
$headers = array_change_key_case(getallheaders());

$event = $webhook->verify(file_get_contents('php://input'), $headers);`,
  },
  {
    id: 'go',
    language: 'Go',
    install: 'go get github.com/standard-webhooks/standard-webhooks/libraries/go',
    code: `import standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

wh, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET"))
if err != nil {
	log.Fatal(err)
}
body, err := io.ReadAll(r.Body)
if err == nil {
	err = wh.Verify(body, r.Header)
}`,
  },
  {
    id: 'java',
    language: 'Java',
    install: 'implementation "com.standardwebhooks:standardwebhooks:1.1.0"',
    code: `import com.standardwebhooks.Webhook;

var webhook = new Webhook(System.getenv("WEBHOOK_SECRET"));

// body: the raw text of the request; throws WebhookVerificationException
webhook.verify(body, request.headers());`,
  },
  {
    id: 'csharp',
    language: 'C#',
    install: 'dotnet add package StandardWebhooks',
    code: `using StandardWebhooks;

var secret = Environment.GetEnvironmentVariable("WEBHOOK_SECRET")!;
var webhook = new Webhook(secret);

// body: the raw text of the request; throws if the signature does not match
webhook.Verify(body, headers);`,
  },
  {
    id: 'ruby',
    language: 'Ruby',
    install: 'gem install standardwebhooks',
    code: `require "standardwebhooks"

webhook = StandardWebhooks::Webhook.new(ENV.fetch("WEBHOOK_SECRET"))

# body: the raw text of the request; headers with lower-case names
event = webhook.verify(body, headers)`,
  },
  {
    id: 'rust',
    language: 'Rust',
    install: 'cargo add standardwebhooks',
    code: `use standardwebhooks::Webhook;

let webhook = Webhook::new(&std::env::var("WEBHOOK_SECRET")?)?;

// body: the raw bytes of the request; headers: its http::HeaderMap
webhook.verify(&body, &headers)?;`,
  },
];

const KEY = 'postrider.language';
const storage = typeof localStorage === 'undefined' ? null : localStorage;

/** The language that the reader chose last, or the first one. */
export const storedLanguage = (): string => {
  const stored = storage?.getItem(KEY) ?? '';
  return SNIPPETS.some(({ id }) => id === stored) ? stored : SNIPPETS[0]!.id;
};

export const storeLanguage = (id: string): void => storage?.setItem(KEY, id);
