// Picks a brand from a list. It applies once the text names a brand, so that typing sends no requests.

import { useEffect } from 'preact/hooks';
import { listBrands } from '../api/support';
import { useEdited } from '../lib/use-edited';
import { useResource } from '../lib/use-resource';
import { TextField } from './fields';

/** Maximum number of brands that are suggested. A brand beyond them can be entered by its full id. */
const MAX_BRANDS = 1000;
const BRAND_ID = /^[A-Za-z0-9_-]{1,64}$/;

export function BrandField({ value, onChange }: { value: string; onChange: (brand: string) => void }) {
  const [text, setText] = useEdited(value);
  const { data } = useResource((signal) => listBrands({ limit: MAX_BRANDS }, signal), []);
  const brands = data?.items ?? [];
  const known = (typed: string) => brands.some(({ brandId }) => brandId === typed);
  // The reader may have typed before the list arrived.
  useEffect(() => {
    if (text.trim() !== value && known(text.trim())) onChange(text.trim());
  }, [data]);
  const change = (typed: string) => {
    setText(typed);
    const trimmed = typed.trim();
    if (trimmed === '' || known(trimmed)) onChange(trimmed);
  };
  const leave = () => {
    const trimmed = text.trim();
    if (trimmed !== value && BRAND_ID.test(trimmed) && (known(trimmed) || data?.nextCursor)) onChange(trimmed);
  };
  const typed = text.trim();
  const strange = typed !== '' && typed !== value && data !== null && !data.nextCursor && !brands.some(({ brandId, name }) => brandId.startsWith(typed) || name.toLowerCase().includes(typed.toLowerCase()));
  return (
    <TextField
      label="Brand"
      compact
      placeholder="Any brand"
      value={text}
      onChange={change}
      onLeave={leave}
      choices={brands.map(({ brandId, name }) => [brandId, name] as const)}
      errors={strange ? ['There is no such brand.'] : []}
    />
  );
}
