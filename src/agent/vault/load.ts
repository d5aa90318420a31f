/**
 * Reading a server's configuration in Vault's form from disk, with what flags and variables say.
 *
 * Owns the order: files as the command line names them, a folder's files by name, then flags.
 * Reads only.
 */
import { stat } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { type ConfigResult, type ConfigSurroundings, resolveConfig } from '../config.ts'
import { readTexts, surroundingsOfMachine, withMaterial } from '../config-load.ts'
import type { ConfigFlag, ConfigText } from '../config-read.ts'
import { vaultServed } from './keys.ts'
import { readVault } from './read.ts'
import { type DevStart, translate } from './translate.ts'

export interface ServerSources {
  /** Files and folders. */
  readonly paths: readonly string[]
  /** What -dev came with; undefined without it. */
  readonly dev: DevStart | undefined
  /** Flags of ours that go before what files say. */
  readonly flags: readonly ConfigFlag[]
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Loads the configuration of a server. Faults of the user's come back as problems. */
export async function loadServerConfig(
  { paths, dev, flags, environment }: ServerSources,
  surroundings?: ConfigSurroundings,
): Promise<ConfigResult> {
  const texts: ConfigText[] = []
  const faults: string[] = []
  for (const path of paths) {
    try {
      const isFolder = (await stat(path)).isDirectory()
      texts.push(...(await readTexts(path, isFolder, 'auto')))
    } catch (error) {
      faults.push(`-config: ${messageOf(error)}`)
    }
  }
  if (texts.length > limits.configFiles) faults.push(`more than ${limits.configFiles} files`)
  if (faults.length > 0) return { problems: faults }
  const vault = readVault(texts)
  const { config, problems } = translate(vault, environment, dev)
  const text = { name: OURS, text: JSON.stringify(config), format: 'json' } as const
  const machine = surroundings ?? (await surroundingsOfMachine())
  const resolved = resolveConfig({ texts: [text], flags, isDev: dev !== undefined }, machine)
  const said = 'problems' in resolved ? resolved.problems.map(inTheirWords) : []
  if ('problems' in resolved || problems.length > 0) return { problems: [...problems, ...said] }
  const warnings = [...vault.notes, ...resolved.warnings.map(inTheirWords)]
  return withMaterial({ ...resolved, warnings })
}

/** What the text is called that nobody wrote. */
const OURS = 'configuration'

const theirNames = new Map(
  Object.entries(vaultServed).flatMap(([path, { to }]) => (to === undefined ? [] : [[to, path]])),
)

/** A text of ours about a key, with the key as whoever wrote the file knows it. */
function inTheirWords(text: string): string {
  const bare = text.replace(/^configuration(:\d+)?: /, '')
  const [, path = '', rest = ''] = /^([\w.]+)(: .*)$/s.exec(bare) ?? []
  const theirs = theirNames.get(path)
  return theirs === undefined ? bare : theirs + rest
}
