/** The secrets' half of a server for tests of the registry's: what it says of tokens may change. */
import { Refusal } from '../../src/base/errors.ts'
import type { OtherToken, OtherTokens } from '../../src/identity/other-token.ts'
import { scope } from '../../src/store/tables/names.ts'

export type Said = Partial<Omit<OtherToken, 'again'>>

export const SEALED = new Refusal(503, 'Vault is sealed')
export const GONE = new Refusal(403, 'ACL not found')

/** The other half of a server: what it says of secrets may change. */
export class OtherHalf implements OtherTokens {
  readonly scope = scope.secrets
  readonly said = new Map<string, Said>()
  readonly #changed: (() => void)[] = []
  isSealed = false

  find(_view: unknown, secret: string): OtherToken | Refusal | undefined {
    if (this.isSealed) return SEALED
    const said = this.said.get(secret)
    if (said === undefined) return undefined
    return {
      ...{ key: `secrets/${secret}`, accessor: `accessor of ${secret}`, description: '' },
      ...{ namespace: '', policies: [], entity: undefined, expiresAtMs: 0 },
      ...said,
      again: view => this.find(view, secret) ?? GONE,
    }
  }

  onChange(changed: () => void): void {
    this.#changed.push(changed)
  }

  seal(isSealed = true): void {
    this.isSealed = isSealed
    for (const changed of this.#changed) changed()
  }
}
