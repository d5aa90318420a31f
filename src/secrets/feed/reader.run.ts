/**
 * Who follows a topic of the secrets: a token of theirs, and what it may see.
 *
 * Owns asking the room's own rules about that, and noticing while somebody follows that the answer
 * is another one: a token was revoked or is over, a policy was written, this server was sealed.
 */
import { wallMs } from '../../base/brand.ts'
import type { Clock, Random, Timer } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { inSlices } from '../../base/slices.ts'
import type { Authority, Who } from '../../base/who.ts'
import type { Store } from '../../store/store.ts'
import { mayReach } from '../access.ts'
import type { Barrier } from '../barrier/keyring.ts'
import type { SecretsRequest } from '../decide.ts'
import type { Operation } from '../declare.ts'
import { rightsOf } from '../rights.ts'
import type { Secrets } from '../room.run.ts'
import { Draft } from '../storage.ts'
import { principalOf, type VaultPrincipal } from '../token/principal.ts'
import { pkiMounts } from './mounts.ts'

/** What the topics stand on. */
export interface SecretsFeedPorts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly secrets: Pick<Secrets, 'permits' | 'registryKeyOf'>
  /** Undefined while this server is sealed. */
  readonly barrier: () => Barrier | undefined
}

const SEALED = new Refusal(503, 'Vault is sealed')
const COUNTED = new Refusal(403, 'a token whose uses are counted follows no feed')

/** All rows as they are now; undefined while this server is sealed. */
export function draftOf({ store, clock, random, barrier }: SecretsFeedPorts): Draft | undefined {
  const open = barrier()
  if (open === undefined) return undefined
  return new Draft(store.view(), open, wallMs(clock.wall()), random, undefined, store.cold)
}

/** Somebody who follows, by what held when it was asked. */
export class SecretsReader implements Who {
  readonly accessor: string
  readonly rights: string
  /** What its policies come to: the same object as long as none of them changes. */
  readonly standing: object
  readonly #ports: SecretsFeedPorts
  readonly #token: string
  readonly #mounts: ReadonlySet<string>

  constructor(ports: SecretsFeedPorts, draft: Draft, who: VaultPrincipal, standing: object) {
    const mounts = pkiMounts(draft)
      .map(({ wholePath }) => wholePath)
      .filter(path => mayReach(draft, who, path))
    this.accessor = who.token.accessor
    // Whoever shows the same token sees the same, as long as the mounts that he may see are these.
    this.rights = `secrets\n${who.token.accessor}\n${mounts.join('\n')}`
    this.standing = standing
    this.#ports = ports
    this.#token = who.secret
    this.#mounts = new Set(mounts)
  }

  /** Rights of the registry: none. */
  may(): boolean {
    return false
  }

  /** Whether it may anything at a mount, or below it. */
  reaches(mountPath: string): boolean {
    return this.#mounts.has(mountPath)
  }

  /** Why a request of it would be refused; undefined where it would not. */
  refusalOf(operation: Operation, path: string): Refusal | undefined {
    const isList = operation === 'list'
    const facts = { id: '', remote: '', wrapTtlMs: undefined, headers: {}, isList }
    const request: SecretsRequest = {
      ...{ operation, path, namespace: '', token: this.#token, data: {}, facts },
    }
    const plan = this.#ports.secrets.permits(request)
    return plan instanceof Refusal ? plan : undefined
  }

  /** The same reader by what holds now. */
  again(): SecretsReader | Refusal {
    return readerOf(this.#ports, this.#token)
  }
}

function readerOf(ports: SecretsFeedPorts, token: string): SecretsReader | Refusal {
  const draft = draftOf(ports)
  if (draft === undefined) return SEALED
  const who = principalOf(draft, token, '', ports.secrets.registryKeyOf(token))
  if (who instanceof Refusal) return who
  if (who.token.numUses !== 0) return COUNTED
  const rights = rightsOf(draft, who.token)
  return rights instanceof Refusal ? rights : new SecretsReader(ports, draft, who, rights.compiled)
}

/** A reader whose rights are watched. */
interface Watched {
  readonly reader: SecretsReader
  readonly changed: () => void
}

/** Knows tokens of the secrets, as the registry's authority knows its own. */
export class SecretsAuthority implements Pick<Authority, 'authenticate' | 'watch'> {
  readonly #ports: SecretsFeedPorts
  readonly #watched = new Set<Watched>()
  #timer: Timer | undefined

  constructor(ports: SecretsFeedPorts) {
    this.#ports = ports
  }

  authenticate(token: string): SecretsReader | Refusal {
    return readerOf(this.#ports, token)
  }

  /** Looks every now and then: what ends by time alone changes no row at once. */
  watch(who: Who, changed: () => void): () => void {
    if (!(who instanceof SecretsReader)) return () => {}
    const watched = { reader: who, changed }
    this.#watched.add(watched)
    this.#time()
    return () => this.#watched.delete(watched)
  }

  /** Where there are many, looking takes a share of the loop. */
  get #lookMs(): number {
    const longMs = (this.#watched.size / limits.secretsFeedLooksPerSecond) * 1_000
    return Math.max(limits.secretsStreamRightsMs, longMs)
  }

  /** Never rejects: what cannot be told is another answer. */
  async #look(): Promise<void> {
    await inSlices(
      [...this.#watched],
      watched => {
        if (!this.#watched.has(watched) || !isChanged(watched.reader)) return
        this.#watched.delete(watched)
        watched.changed()
      },
      1,
    )
    this.#timer = undefined
    if (this.#watched.size > 0) this.#time()
  }

  #time(): void {
    this.#timer ??= this.#ports.clock.after(this.#lookMs, () => void this.#look())
  }
}

function isChanged(reader: SecretsReader): boolean {
  const now = reader.again()
  return now instanceof Refusal || now.rights !== reader.rights || now.standing !== reader.standing
}
