// The settings of a webhook.

import type { Webhook } from '../api/types';
import type { WebhookRef } from '../api/webhooks';
import { Link, to } from '../router';
import { isSupport, mayWrite } from '../session';
import { Card, Fact, Facts, Id, Time } from '../ui/basics';

export function SettingsCard({ webhookRef: { brand, webhook: id }, webhook }: { webhookRef: WebhookRef; webhook: Webhook }) {
  const headers = Object.keys(webhook.headers);
  const changes = `${isSupport() ? '/audit' : to.audit(brand)}?subject=${encodeURIComponent(id)}`;
  const edit = mayWrite() && (
    <Link to={to.editWebhook(brand, id)} class="button">
      Edit
    </Link>
  );
  return (
    <Card title="Settings" actions={edit}>
      <Facts>
        <Fact label="Description">{webhook.description || <span class="muted">None</span>}</Fact>
        <Fact label="Endpoint">
          <span class="url mono">{webhook.endpoint}</span>
        </Fact>
        <Fact label="Events">
          <span class="tags">
            {webhook.events.map((pattern) => (
              <code key={pattern}>{pattern === '*' ? '* (everything)' : pattern}</code>
            ))}
          </span>
        </Fact>
        <Fact label="Requests">
          {webhook.maxConcurrency} at a time{webhook.ratePerSecond !== null && `, ${webhook.ratePerSecond} per second at most`}
        </Fact>
        <Fact label="Custom headers">
          {headers.length === 0 ? (
            <span class="muted">None</span>
          ) : (
            <span class="tags">
              {headers.map((name) => (
                <code key={name}>{name}</code>
              ))}
            </span>
          )}
        </Fact>
        <Fact label="Signatures">{(webhook.signatures ?? ['v1']).join(' and ')}</Fact>
        <Fact label="Id">
          <Id id={webhook.id} what="webhook id" />
        </Fact>
        <Fact label="Created">
          <Time at={webhook.created} />
        </Fact>
        <Fact label="Updated">
          <Time at={webhook.updated} /> <Link to={changes}>Who changed what</Link>
        </Fact>
      </Facts>
    </Card>
  );
}
