// The event types of a brand. Support enables them; the brand sees their examples and schemas.

import { useMemo, useState } from 'preact/hooks';
import { setTypeEnabled } from '../api/support';
import type { OfferedType } from '../api/types';
import { offeredTypes } from '../api/webhooks';
import { indentJson } from '../lib/raw-json';
import { buildTree, typesBelow, type TreeNode } from '../lib/tree';
import { useResource } from '../lib/use-resource';
import type { PageProps } from '../router';
import { isSupport } from '../session';
import { announce } from '../ui/announce';
import { Badge, Button, Card, Code, Empty, Note, ProblemNote, Loading } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { BrandTabs, Heading } from '../ui/shell';
import { DisableType } from './disable-type';

export function BrandTypes({ params: { brand = '' } }: PageProps) {
  const { data, problem, reload } = useResource((signal) => offeredTypes(brand, signal), [brand]);
  const roots = useMemo(() => buildTree(data ?? [], (entry) => entry.type), [data]);
  const [disabling, setDisabling] = useState<TreeNode<OfferedType> | null>(null);
  const enable = useRun(async (pattern: string) => {
    await setTypeEnabled(brand, pattern, true);
    await reload();
    announce(`${pattern} is enabled for ${brand}.`);
  });
  const none = data !== null && !data.some((entry) => entry.enabled && !entry.builtIn);
  return (
    <>
      <Heading title={isSupport() ? `Event types of ${brand}` : 'Event types'} up={isSupport() ? [['/brands', 'Brands']] : []}>
        <BrandTabs brand={brand} />
      </Heading>
      <p class="muted">
        {isSupport()
          ? 'Nothing is enabled by default. A group covers its types, including types that are added later.'
          : 'You can subscribe to the enabled event types. Ask support to enable others.'}
      </p>
      <ProblemNote problem={problem} retry={reload} />
      <ProblemNote problem={enable.problem} />
      {!data && !problem && <Loading lines={6} />}
      {none && (
        <Note tone="warn">
          <p>No event types are enabled yet. Until then, this brand's events are counted and dropped.</p>
        </Note>
      )}
      {data?.length === 0 && <Empty title="The catalogue is empty." />}
      {data && data.length > 0 && (
        <Card>
          <ul class="types">
            {roots.map((node) => (
              <Node key={node.pattern} node={node} change={isSupport() ? { enable: enable.go, disable: setDisabling } : null} busy={enable.busy} />
            ))}
          </ul>
        </Card>
      )}
      {disabling && (
        <DisableType
          brand={brand}
          pattern={disabling.pattern}
          types={typesBelow(disabling).filter(({ enabled, builtIn }) => enabled && !builtIn).map(({ type }) => type)}
          onClose={() => setDisabling(null)}
          onDone={reload}
        />
      )}
    </>
  );
}

interface Change {
  enable: (pattern: string) => Promise<void>;
  disable: (node: TreeNode<OfferedType>) => void;
}

interface NodeProps {
  node: TreeNode<OfferedType>;
  change: Change | null;
  busy: boolean;
}

function Node({ node, change, busy }: NodeProps) {
  const types = typesBelow(node);
  const enabled = types.filter((entry) => entry.enabled).length;
  const all = enabled === types.length;
  const fixed = types.every((entry) => entry.builtIn);
  return (
    <li>
      <div class="type-line">
        <div class="type-what">
          <span class="mono">{node.pattern}</span>
          {node.entry && <About entry={node.entry} />}
        </div>
        <span class="type-state">
          <Badge tone={all ? 'good' : enabled > 0 ? 'warn' : 'idle'}>{all ? 'Enabled' : enabled > 0 ? 'Partly enabled' : 'Not enabled'}</Badge>
          {fixed && <span class="muted small">for every brand</span>}
        </span>
        {change && (
          <span class="type-buttons">
            {!fixed && !all && (
              <Button disabled={busy} label={`Enable ${node.pattern}`} onClick={() => change.enable(node.pattern)}>
                Enable
              </Button>
            )}
            {!fixed && enabled > 0 && (
              <Button kind="quiet" disabled={busy} label={`Disable ${node.pattern}`} onClick={() => change.disable(node)}>
                Disable…
              </Button>
            )}
          </span>
        )}
      </div>
      {node.children.length > 0 && (
        <ul>
          {node.children.map((child) => (
            <Node key={child.pattern} node={child} change={change} busy={busy} />
          ))}
        </ul>
      )}
    </li>
  );
}

const About = ({ entry }: { entry: OfferedType }) => (
  <>
    <p class="hint">{entry.description}</p>
    {entry.example && (
      <details>
        <summary>Example<span class="hidden"> of {entry.type}</span></summary>
        <Code label={`Example of ${entry.type}`}>{indentJson(entry.example)}</Code>
      </details>
    )}
    {entry.schema && (
      <details>
        <summary>
          Schema<span class="hidden"> of {entry.type}</span>
          {entry.enforceSchema && ' (enforced)'}
        </summary>
        <Code label={`Schema of ${entry.type}`}>{indentJson(entry.schema)}</Code>
      </details>
    )}
  </>
);
