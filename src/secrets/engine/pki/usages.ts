/**
 * Usages of keys as requests name them: the names of Go's crypto/x509, in any case.
 *
 * Owns the spelling. Names that nobody knows are passed over, as Vault does.
 */
import { extendedUsages, type KeyUsage, keyUsages } from '../../../x509/extension.ts'

/** Go leaves out a part of two names. */
const GO_USAGES = new Map<string, KeyUsage>([
  ...keyUsages.map(usage => [usage.toLowerCase(), usage] as const),
  ['certsign', 'keyCertSign'],
])
GO_USAGES.delete('keycertsign')

const EXTENDED = new Map<string, string>(
  extendedUsages.map(usage => [usage.toLowerCase(), usage] as const),
)

const found = <T>(texts: readonly string[], table: ReadonlyMap<string, T>, prefix: string): T[] => {
  const wanted = new Set<T>()
  for (const text of texts) {
    const name = text.trim().toLowerCase()
    const usage = table.get(name.startsWith(prefix) ? name.slice(prefix.length) : name)
    if (usage !== undefined) wanted.add(usage)
  }
  return [...wanted]
}

/** `DigitalSignature`, `KeyUsageCertSign`: each once, in their order. */
export const keyUsagesOf = (texts: readonly string[]): KeyUsage[] =>
  found(texts, GO_USAGES, 'keyusage')

/** `ServerAuth`, `ExtKeyUsageClientAuth`: each once, in their order. */
export const extendedUsagesOf = (texts: readonly string[]): string[] =>
  found(texts, EXTENDED, 'extkeyusage')
