// JSON as it was written: numbers keep their digits, objects their order, duplicates stay visible. `JSON.parse` would
// hide exactly the damage that a gateway does.

/** Reads JSON into {kind, ...}; throws on anything that is not JSON. */
export function read(text) {
  let at = 0;
  const space = () => { while (' \t\r\n'.includes(text[at]) && at < text.length) at += 1; };
  const stop = () => { throw new Error(`not JSON at ${at}: ${text.slice(at, at + 40)}`); };
  const take = (pattern) => { pattern.lastIndex = at; const hit = pattern.exec(text); if (!hit) stop(); at = pattern.lastIndex; return hit[0]; };
  const string = () => JSON.parse(take(/"(?:[^"\\]|\\.)*"/ys));
  const members = (close, one) => {
    const out = []; at += 1; space();
    if (text[at] === close) { at += 1; return out; }
    for (;;) {
      out.push(one()); space();
      if (text[at] === close) { at += 1; return out; }
      if (text[at] !== ',') stop();
      at += 1;
    }
  };
  const value = () => {
    space();
    if (text[at] === '{') return { kind: 'object', members: members('}', () => { space(); const key = string(); space(); if (text[at] !== ':') stop(); at += 1; return [key, value()]; }) };
    if (text[at] === '[') return { kind: 'array', items: members(']', value) };
    if (text[at] === '"') return { kind: 'string', value: string() };
    return { kind: 'literal', text: take(/true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y) };
  };
  const out = value(); space();
  if (at !== text.length) stop();
  return out;
}

/** Writes it back without white space; equal text means equal meaning, digits and order included. */
export function write(node) {
  if (node.kind === 'object') return `{${node.members.map(([k, v]) => `${JSON.stringify(k)}:${write(v)}`).join(',')}}`;
  if (node.kind === 'array') return `[${node.items.map(write).join(',')}]`;
  return node.kind === 'string' ? JSON.stringify(node.value) : node.text;
}

/** The value under a path of keys and indexes. */
export function at(node, ...path) {
  return path.reduce((n, key) => (typeof key === 'number' ? n?.items?.[key] : n?.members?.find(([k]) => k === key)?.[1]), node);
}

/** A copy without some keys of the outermost object. */
export const without = (node, ...keys) => ({ ...node, members: node.members.filter(([k]) => !keys.includes(k)) });
