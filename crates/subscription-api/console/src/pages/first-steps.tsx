// What to do first, where there is nothing yet.

import { Link, to } from '../router';
import { isSupport, mayWrite } from '../session';
import { Card } from '../ui/basics';

export function FirstSteps({ brand }: { brand?: string }) {
  return (
    <Card title="First steps">
      {isSupport() && !brand ? (
        <ol class="steps">
          <li>
            <Link to="/catalogue">Look at the catalogue</Link>: event types that producers may publish.
          </li>
          <li>
            <Link to="/brands?new=yes">Make a brand</Link> with its point of contact.
          </li>
          <li>On the brand's page, enable the event types that it may receive, and make it a token.</li>
          <li>
            Follow the brand's setup guide: it has the <code>curl</code> line and the AMQP code for the first event.
          </li>
        </ol>
      ) : (
        <ol class="steps">
          <li>
            {mayWrite() ? <Link to={to.newWebhook(brand ?? '')}>Create a webhook</Link> : 'Create a webhook'}: the HTTPS
            endpoint, and the event types that it is to receive.
          </li>
          <li>Send it a test event from its page.</li>
          <li>
            Publish the first real event: the <Link to={to.guide(brand ?? '')}>setup guide</Link> has the lines to copy.
          </li>
        </ol>
      )}
    </Card>
  );
}
