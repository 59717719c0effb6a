// Finds one event for support, who often knows nothing but an id or an order number.

import { useState } from 'preact/hooks';
import { listBrands } from '../api/support';
import { useResource } from '../lib/use-resource';
import { Link, navigate, to } from '../router';
import { Button, Card, ProblemNote, Loading } from '../ui/basics';
import { TextField } from '../ui/fields';
import { Heading } from '../ui/shell';

const BRANDS = 100;

export function EventSearch() {
  const [text, setText] = useState('');
  const brands = useResource((signal) => listBrands({ limit: BRANDS }, signal), []);
  const submit = (event: Event) => {
    event.preventDefault();
    if (text.trim()) navigate(to.anyEvent(text.trim()));
  };
  return (
    <>
      <Heading title="Events" />
      <Card title="Where is my event?">
        <form class="inline-form" onSubmit={submit}>
          <TextField
            label="Event id or message id"
            value={text}
            onChange={setText}
            mono
            hint="The ULID of the event, or the message id that its producer set. The search above also finds keys, such as an order number."
          />
          <Button type="submit" kind="main" disabled={!text.trim()}>
            Find
          </Button>
        </form>
      </Card>
      <Card title="All events of a brand">
        <ProblemNote problem={brands.problem} retry={brands.reload} />
        {!brands.data && !brands.problem && <Loading />}
        {brands.data?.items.length === 0 && <p class="muted">There are no brands yet.</p>}
        {brands.data && brands.data.items.length > 0 && (
          <ul class="choices">
            {brands.data.items.map(({ brandId, name }) => (
              <li key={brandId}>
                <Link to={to.events(brandId)}>{name}</Link> <span class="muted small">{brandId}</span>
              </li>
            ))}
          </ul>
        )}
        {brands.data?.nextCursor && (
          <p class="muted">
            These are the first {BRANDS}. <Link to="/brands">See all brands</Link>, or search for one above.
          </p>
        )}
      </Card>
    </>
  );
}
