/**
 * Reading the configuration from disk: files, folders, flags; and the node's id in its data.
 *
 * Owns the order: files and folders as the command line names them, a folder's `.hcl` and `.json`
 * files by name, then `-hcl` fragments, then the other flags. Reads only; `settleNodeId` is the
 * one that writes.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { type Random, systemClock } from '../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../base/errors.ts'
import { ensurePrivateFolder, readFileIfExists, writeFileAtomic } from '../base/io/file.ts'
import { contextProblem, readTlsFiles } from '../base/io/tls.ts'
import { limits } from '../base/limits.ts'
import {
  type Config,
  type ConfigResult,
  type ConfigSurroundings,
  resolveConfig,
  type SettledConfig,
} from './config.ts'
import type { ConfigFlag, ConfigText } from './config-read.ts'
import { prepareSinks } from './config-sink.ts'
import { secureOptionsOf, type TlsPart } from './config-tls.ts'

/** The flags that are no keys: where to read from, and the mode. */
export const sourceFlags = {
  dev: 'keep everything in memory, pretty JSON: to try things out',
  'config-file': 'read this file (.hcl or .json); may be repeated',
  'config-dir': 'read all .hcl and .json files of this folder; may be repeated',
  'config-format': 'take all files for hcl or json, whatever their name',
  hcl: 'a fragment of configuration in HCL; may be repeated',
} as const

/** Loads what the flags of `agent` name. Faults of the user's come back as problems. */
export async function loadConfig(
  flags: readonly ConfigFlag[],
  surroundings?: ConfigSurroundings,
): Promise<ConfigResult> {
  const format = formatOf(flags)
  if (format === undefined) return { problems: ['-config-format: must be hcl or json'] }
  const texts: ConfigText[] = []
  const problems: string[] = []
  for (const { name, value } of flags) {
    if (name !== 'config-file' && name !== 'config-dir') continue
    try {
      texts.push(...(await readTexts(String(value), name === 'config-dir', format)))
    } catch (error) {
      problems.push(`-${name}: ${messageOf(error)}`)
    }
  }
  if (texts.length > limits.configFiles) problems.push(`more than ${limits.configFiles} files`)
  if (problems.length > 0) return { problems }
  for (const { name, value } of flags) {
    if (name === 'hcl') texts.push({ name: '-hcl', text: String(value), format: 'hcl' })
  }
  const isDev = flags.some(({ name, value }) => name === 'dev' && value === true)
  const keyFlags = flags.filter(({ name }) => !Object.hasOwn(sourceFlags, name))
  const machine = surroundings ?? (await surroundingsOfMachine())
  const resolved = resolveConfig({ texts, flags: keyFlags, isDev }, machine)
  return 'problems' in resolved ? resolved : withMaterial(resolved)
}

/** Reads the files of certificates, keys and sinks that a configuration names. */
export async function withMaterial({
  config,
  warnings,
}: Exclude<ConfigResult, { problems: readonly string[] }>): Promise<ConfigResult> {
  const told = new Set(warnings)
  const problems = new Set<string>()
  const load = async (part: TlsPart): Promise<TlsPart> => {
    const result = await readTlsFiles(part, systemClock.wall())
    if ('problems' in result) {
      for (const problem of result.problems) problems.add(`tls: ${problem}`)
      return part
    }
    for (const warning of result.warnings) told.add(`tls: ${warning}`)
    const read = Object.freeze({ ...part, material: result.material })
    const options = secureOptionsOf(read)
    const fault = options === undefined ? undefined : contextProblem(options)
    if (fault !== undefined) problems.add(`tls: ${part.certFile} cannot be served: ${fault}`)
    return read
  }
  const { https, secrets, grpc, internalRpc } = config.tls
  const parts = {
    https: await load(https),
    secrets: await load(secrets),
    grpc: await load(grpc),
    internalRpc: await load(internalRpc),
  }
  const sinks = await prepareSinks(config.sinks, path => readFile(path, 'utf8'))
  for (const problem of sinks.problems) problems.add(problem)
  if (problems.size > 0) return { problems: [...problems] }
  const tls = Object.freeze({ ...config.tls, ...parts })
  return { config: Object.freeze({ ...config, tls, sinks: sinks.tasks }), warnings: [...told] }
}

/**
 * What tells whether a file that the flags name changed, or another one: names, sizes and times of
 * all of them. What cannot be read stands in it as that.
 */
export async function configStamp(
  flags: readonly ConfigFlag[],
  others: readonly string[] = [],
): Promise<string> {
  const stamps: string[] = []
  const add = async (path: string, counts: (name: string) => boolean): Promise<void> => {
    const found = await stat(path).catch(() => undefined)
    stamps.push(`${path} ${found?.ino} ${found?.size} ${found?.mtimeMs}`)
    if (found?.isDirectory() !== true) return
    const names = await readdir(path).catch(() => [])
    for (const name of names.filter(counts).sort()) await add(join(path, name), counts)
  }
  for (const { name, value } of flags) {
    if (name === 'config-file' || name === 'config-dir') await add(String(value), isConfigName)
  }
  for (const path of others) await add(path, () => true)
  return stamps.join('\n')
}

/**
 * The configuration with its node id: as configured, else the machine's where that is wanted,
 * else the one kept in the data folder, else a new one, which is then kept. Throws OperatingError
 * when what is kept is no id.
 */
export async function settleNodeId(
  config: Config,
  random: Random,
  machineFiles: readonly string[] = MACHINE_FILES,
): Promise<SettledConfig> {
  const stated =
    config.nodeId ?? (config.usesHostNodeId ? await hostNodeId(machineFiles) : undefined)
  if (stated !== undefined) return Object.freeze({ ...config, nodeId: stated })
  if (config.dataDir === undefined) return Object.freeze({ ...config, nodeId: random.uuid() })
  const path = join(config.dataDir, 'node-id')
  await ensurePrivateFolder(config.dataDir)
  const kept = (await readFileIfExists(path))?.toString('latin1').trim()
  if (kept !== undefined && !/^[0-9a-f-]{36}$/.test(kept)) {
    throw new OperatingError(
      OperatingCode.damaged,
      `${path} holds no node id: restore it, or remove it to become a new node`,
    )
  }
  const nodeId = kept ?? random.uuid()
  if (kept === undefined) await writeFileAtomic(path, `${nodeId}\n`)
  return Object.freeze({ ...config, nodeId })
}

/** What a machine is known by, the best first. */
const MACHINE_FILES = ['/sys/class/dmi/id/product_uuid', '/etc/machine-id']

/**
 * An id that follows from the machine's own, as Consul makes it; undefined where that cannot be
 * read. The machine's id itself cannot be told from it.
 */
async function hostNodeId(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const text = await readFile(file, 'latin1').catch(() => '')
    const machineId = text.trim().toLowerCase()
    if (!/^[0-9a-f-]{32,36}$/.test(machineId)) continue
    const hash = createHash('sha512').update(machineId).digest('hex')
    return hash.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')
  }
  return undefined
}

type Format = ConfigText['format']

const isConfigName = (name: string): boolean => /\.(hcl|json)$/.test(name)

function formatOf(flags: readonly ConfigFlag[]): Format | undefined {
  const value = flags.findLast(({ name }) => name === 'config-format')?.value ?? 'auto'
  return value === 'hcl' || value === 'json' || value === 'auto' ? value : undefined
}

/** The texts of a file, or of a folder's files by name. Rejects with what the disk says. */
export async function readTexts(
  path: string,
  isFolder: boolean,
  format: Format,
): Promise<ConfigText[]> {
  const found = await stat(path)
  if (!isFolder && !found.isDirectory()) return [await readText(path, found.size, format)]
  const names = (await readdir(path)).filter(isConfigName).sort()
  const texts: ConfigText[] = []
  for (const name of names.slice(0, limits.configFiles + 1)) {
    const file = join(path, name)
    const entry = await stat(file)
    if (entry.isFile()) texts.push(await readText(file, entry.size, format))
  }
  return texts
}

async function readText(path: string, sizeBytes: number, format: Format): Promise<ConfigText> {
  const MAX_CHAR_SIZE_BYTES = 4
  if (sizeBytes > limits.hclTextChars * MAX_CHAR_SIZE_BYTES) {
    throw new OperatingError(OperatingCode.limit, `${path} is too large for a configuration`)
  }
  const text = await readFile(path, 'utf8')
  const ending = /\.(hcl|json)$/.exec(path)?.[1] as Format | undefined
  return { name: path, text, format: format === 'auto' ? (ending ?? 'auto') : format }
}

/** What this machine contributes to a configuration. */
export async function surroundingsOfMachine(): Promise<ConfigSurroundings> {
  const defaultName = await defaultInterface()
  return {
    hostName: hostname(),
    interfaces: Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
      (addresses ?? []).map(({ address, internal, cidr }) => ({
        name,
        address,
        prefixBits: Number(cidr?.split('/')[1] ?? 0),
        isLoopback: internal,
        isDefault: name === defaultName,
      })),
    ),
    workingDir: process.cwd(),
  }
}

/** The interface of the default route (Linux; see proc(5)); undefined where none can be seen. */
async function defaultInterface(): Promise<string | undefined> {
  const ANYWHERE = '00000000'
  const routes = await readFile('/proc/net/route', 'utf8').catch(() => '')
  const lines = routes.split('\n').map(line => line.split('\t'))
  return lines.find(([, destination]) => destination === ANYWHERE)?.[0]
}
