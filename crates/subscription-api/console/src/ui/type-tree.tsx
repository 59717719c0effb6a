// The event types as a tree of checkboxes. A group covers all its types, including later ones.

import { useId, useMemo } from 'preact/hooks';
import type { OfferedType } from '../api/types';
import { tick, togglePattern, buildTree, typesBelow, type TreeNode } from '../lib/tree';
import { Badge, Button } from './basics';
import { FieldErrors } from './fields';

interface Props {
  types: readonly OfferedType[];
  chosen: readonly string[];
  onChange: (chosen: string[]) => void;
  errors: readonly string[];
}

export function TypeTree({ types, chosen, onChange, errors }: Props) {
  const id = useId();
  const roots = useMemo(() => buildTree(types, (entry) => entry.type), [types]);
  const known = useMemo(() => new Set(patternsOf(roots)), [roots]);
  const strangers = chosen.filter((pattern) => pattern !== '*' && !known.has(pattern));
  const change = (pattern: string, on: boolean) => onChange(togglePattern(chosen, pattern, on));
  return (
    <fieldset class={`field tree ${errors.length > 0 ? 'faulty' : ''}`} aria-describedby={`${id}-errors`}>
      <legend>Events</legend>
      <p class="hint">A selected group covers all event types below it, including types that are added later.</p>
      <ul>
        <Node
          node={{ pattern: '*', segment: 'Everything (*)', entry: null, children: roots }}
          chosen={chosen}
          change={change}
          faulty={errors.length > 0}
        />
      </ul>
      {strangers.map((pattern) => (
        <p key={pattern} class="stranger">
          <code>{pattern}</code> <Badge tone="warn">Not in the catalogue</Badge>{' '}
          <Button kind="quiet" onClick={() => change(pattern, false)} label={`Remove ${pattern}`}>
            Remove
          </Button>
        </p>
      ))}
      <FieldErrors id={`${id}-errors`} errors={errors} />
    </fieldset>
  );
}

const patternsOf = (nodes: readonly TreeNode<OfferedType>[]): string[] =>
  nodes.flatMap((node) => [node.pattern, ...patternsOf(node.children)]);

interface NodeProps {
  node: TreeNode<OfferedType>;
  chosen: readonly string[];
  change: (pattern: string, on: boolean) => void;
  faulty?: boolean;
}

function Node({ node, chosen, change, faulty = false }: NodeProps) {
  const id = useId();
  const state = tick(node.pattern, chosen);
  const offered = node.pattern === '*' || typesBelow(node).some((entry) => entry.enabled);
  const about = node.entry?.description;
  return (
    <li>
      <div class="tree-node">
        <input
          type="checkbox"
          id={id}
          checked={state === 'on' || state === 'covered'}
          ref={(input) => {
            if (input) input.indeterminate = state === 'some';
          }}
          disabled={state === 'covered' || (!offered && state !== 'on')}
          aria-describedby={about ? `${id}-about` : undefined}
          aria-invalid={faulty ? 'true' : undefined}
          onChange={(event) => change(node.pattern, event.currentTarget.checked)}
        />
        <label for={id}>
          <span class="mono">{node.segment}</span>
          {!offered && <Badge tone="idle">Not enabled: ask support</Badge>}
        </label>
        {about && (
          <span class="hint" id={`${id}-about`}>
            {about}
          </span>
        )}
      </div>
      {node.children.length > 0 && (
        <ul>
          {node.children.map((child) => (
            <Node key={child.pattern} node={child} chosen={chosen} change={change} />
          ))}
        </ul>
      )}
    </li>
  );
}
