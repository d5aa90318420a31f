/**
 * JSON as the command line reads and prints it: integers keep all their digits.
 *
 * Owns the two directions; flags of keys and hashes of config entries have 64 bits, which a
 * JavaScript number would round.
 */

/** JSON whose integers keep all their digits: beyond 2^53 they become bigint. */
export function parseExact<T>(text: string): T {
  const exact = (_key: string, value: unknown, context: { source?: string }): unknown => {
    const isWide = typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER
    return isWide && /^-?\d+$/.test(context.source ?? '') ? BigInt(context.source ?? '') : value
  }
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown)
}

/** The other direction; `indent` as of JSON.stringify. */
export function exactJson(value: unknown, indent: string | number = 2): string {
  const exact = (_key: string, each: unknown): unknown =>
    typeof each === 'bigint' ? rawJson(String(each)) : each
  return JSON.stringify(value, exact, indent)
}

const rawJson = (text: string): unknown =>
  (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text)
