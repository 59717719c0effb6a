// The first steps, shown while a brand or the platform is empty.

import { Link, to } from '../router';
import { isSupport, mayWrite } from '../session';
import { Card } from '../ui/basics';

export function FirstSteps({ brand }: { brand?: string }) {
  return (
    <Card title="First steps">
      {isSupport() && !brand ? (
        <ol class="steps">
          <li>
            <Link to="/catalogue">Look at the catalogue</Link> of event types that producers may publish.
          </li>
          <li>
            <Link to="/brands?new=*">Create a brand</Link> with a contact.
          </li>
          <li>On the brand's page, enable event types and create a token.</li>
          <li>
            Follow the brand's setup guide. It has a <code>curl</code> command and AMQP code for the first event.
          </li>
        </ol>
      ) : (
        <ol class="steps">
          <li>
            {mayWrite() ? <Link to={to.newWebhook(brand ?? '')}>Create a webhook</Link> : 'Create a webhook'} with an HTTPS
            endpoint and the event types that it receives.
          </li>
          <li>Store its secret, add the lines that verify requests, and send a test event, all on the page that follows.</li>
          <li>
            Watch real events arrive. The <Link to={to.guide(brand ?? '')}>setup guide</Link> has commands to publish some.
          </li>
        </ol>
      )}
    </Card>
  );
}
