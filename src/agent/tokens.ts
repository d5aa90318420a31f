/**
 * The agent's own tokens: what it shows where nobody else's is shown.
 *
 * Owns which kinds there are, that those set by the API stand before those of the configuration,
 * and the file that keeps them over a restart: Consul's `acl-tokens.json`, in which ours are sealed
 * and Consul's are in clear until they are read. Must never log or quote a token.
 */
import { join } from 'node:path'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { readFileIfExists, writeFileAtomic } from '../base/io/file.ts'
import type { Log } from '../base/log.ts'
import type { Sealer } from '../base/sealer.ts'

const tokenKinds = [
  'default',
  'agent',
  'agent_recovery',
  'replication',
  'config_file_service_registration',
  'dns',
] as const
export type TokenKind = (typeof tokenKinds)[number]

/** Tokens by kind, '' for none. */
export type KindTokens = Readonly<Record<TokenKind, string>>

const NAME = 'acl-tokens.json'

export interface OwnTokensOptions {
  readonly configured: KindTokens
  /** Where those set by the API are kept; undefined where they are gone with the process. */
  readonly dataDir: string | undefined
  /** How they are kept there. */
  readonly sealer: Sealer
  readonly log: Log
}

/** What stands before a token that is sealed; Consul's are UUIDs in clear. */
const SEALED = 'sealed:'

export class OwnTokens {
  readonly #options: OwnTokensOptions
  #configured: KindTokens
  #set: Partial<Record<TokenKind, string>> = {}
  /** One change at a time: each writes the whole file. */
  #last: Promise<void> = Promise.resolve()
  readonly #listeners = new Set<() => void>()

  constructor(options: OwnTokensOptions) {
    this.#options = options
    this.#configured = options.configured
  }

  /** Reads what was kept. Throws OperatingError when the file does not say tokens. */
  async load(): Promise<void> {
    const { dataDir, log } = this.#options
    if (dataDir === undefined) return
    const path = join(dataDir, NAME)
    const text = (await readFileIfExists(path))?.toString('utf8')
    if (text === undefined) return
    const kept = readKept(text)
    if (kept === undefined) throw damaged(`${path} does not hold the tokens of an agent`)
    this.#set = this.#opened(kept, path)
    // Those of Consul's file are in clear no longer than this.
    if (Object.values(kept).some(isClear)) await this.#keep(this.#set)
    for (const kind of tokenKinds) {
      if (kept[kind] === undefined || this.#configured[kind] === '') continue
      log.warn('a token was set by the API and is in the configuration: the first is used', {
        kind,
      })
    }
  }

  /** The token of a kind, '' for none. */
  of(kind: TokenKind): string {
    return this.#set[kind] ?? this.#configured[kind]
  }

  /** Takes over a changed configuration. */
  configure(configured: KindTokens): void {
    this.#configured = configured
    this.#tell()
  }

  /** Calls whenever a token may be another one. */
  onChange(changed: () => void): void {
    this.#listeners.add(changed)
  }

  #tell(): void {
    for (const changed of this.#listeners) changed()
  }

  /** Sets a token as the API does, '' for none; resolves once it is kept, where it is. */
  set(kind: TokenKind, token: string): Promise<void> {
    const setting = this.#last.then(async () => {
      const next = { ...this.#set, [kind]: token }
      await this.#keep(next)
      this.#set = next
      this.#tell()
    })
    // A change that cannot be kept keeps nobody else from being made.
    this.#last = setting.catch(() => {})
    return setting
  }

  async #keep(set: Partial<Record<TokenKind, string>>): Promise<void> {
    const { dataDir, sealer } = this.#options
    if (dataDir === undefined) return
    const sealed = mapped(set, token => (token === '' ? '' : SEALED + sealer.seal(token)))
    await writeFileAtomic(join(dataDir, NAME), JSON.stringify(sealed))
  }

  /** The tokens of a file. Throws OperatingError where one was sealed with another key. */
  #opened(
    kept: Partial<Record<TokenKind, string>>,
    path: string,
  ): Partial<Record<TokenKind, string>> {
    return mapped(kept, text => {
      if (!text.startsWith(SEALED)) return text
      const token = this.#options.sealer.open(text.slice(SEALED.length))
      if (token === '') throw damaged(`${path} was sealed with another registry key`)
      return token
    })
  }
}

const isClear = (text: string): boolean => text !== '' && !text.startsWith(SEALED)

const damaged = (what: string): OperatingError =>
  new OperatingError(OperatingCode.damaged, `${what}: remove it, and set them again`)

const mapped = (
  set: Partial<Record<TokenKind, string>>,
  each: (text: string) => string,
): Partial<Record<TokenKind, string>> =>
  Object.fromEntries(Object.entries(set).map(([kind, text]) => [kind, each(text)]))

function readKept(text: string): Partial<Record<TokenKind, string>> | undefined {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return undefined
  const entries = Object.entries(given)
  const isToken = ([kind, token]: [string, unknown]): boolean =>
    tokenKinds.includes(kind as TokenKind) && typeof token === 'string'
  return entries.every(isToken) ? Object.fromEntries(entries) : undefined
}
