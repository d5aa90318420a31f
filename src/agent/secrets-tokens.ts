/**
 * Tokens between the two halves of a server: those of the secrets where the registry asks, and
 * those of the registry where the secrets ask.
 *
 * Owns the translation alone. What either may do in the other half is said by rules there.
 */
import type { WallMs } from '../base/brand.ts'
import type { Random } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { isUuid } from '../base/uuid.ts'
import type { OtherToken, OtherTokens } from '../identity/other-token.ts'
import type { RegistryKey } from '../identity/registry-key.ts'
import { placeOf } from '../identity/token.ts'
import type { SealRoom } from '../secrets/barrier/seal.run.ts'
import type { RegistryTokens } from '../secrets/grant/grant.ts'
import { Draft } from '../secrets/storage.ts'
import { type TokenAbroad, tokenAbroad } from '../secrets/token/abroad.ts'
import type { Store } from '../store/store.ts'
import { scope } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'

/** Nobody can say whose a token is, so it is nobody's fault. */
const SEALED = new Refusal(
  503,
  'Vault is sealed: tokens of the secrets are honoured again once this server is unsealed',
)
const GONE = new Refusal(403, 'ACL not found')

export interface TokensGround {
  readonly store: Pick<Store, 'cold'>
  readonly seal: Pick<SealRoom, 'barrier' | 'state' | 'onChange'>
  readonly random: Random
}

/** The tokens of the secrets, for the registry. */
export function tokensForRegistry({ store, seal, random }: TokensGround): OtherTokens {
  const look = (view: Reader, secret: string, now: WallMs): OtherToken | Refusal | undefined => {
    const barrier = seal.barrier()
    if (barrier === undefined) return SEALED
    const draft = new Draft(view, barrier, now, random, undefined, store.cold)
    const found = tokenAbroad(draft, secret)
    return found === undefined || found instanceof Refusal ? found : told(found, secret)
  }
  const told = (found: TokenAbroad, secret: string): OtherToken => ({
    ...found,
    description: found.displayName,
    again: (view, now) => look(view, secret, now) ?? GONE,
  })
  return {
    scope: scope.secrets,
    find(view, secret, now) {
      if (seal.barrier() !== undefined) return look(view, secret, now)
      // Tokens of the registry are UUIDs: what is none may be one of these.
      return !isUuid(secret) && seal.state().isInitialised ? SEALED : undefined
    },
    onChange: changed => void seal.onChange(changed),
  }
}

/** The tokens of the registry, for the secrets. */
export const tokensForSecrets = (key: RegistryKey): RegistryTokens => ({
  keyOf: secret => key.hashOf(secret),
  isGenuine({ key: rowKey, row }) {
    const secret = key.open(row.sealedSecret, placeOf(row.accessor))
    return secret !== undefined && secret !== '' && key.hashOf(secret) === rowKey
  },
})
