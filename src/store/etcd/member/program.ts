/**
 * The program that a managed member runs: where etcd lies, and whether its version will do.
 *
 * Owns the search and the words for an operator who has none. Starts nothing but `etcd --version`.
 */
import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf, OperatingCode, OperatingError } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { warningsFor } from '../client.ts'

/** An etcd that can be run. */
export interface MemberProgram {
  /** Its path. */
  readonly path: string
  /** As it says itself: `3.4.23`. */
  readonly version: string
  /** What an operator should know of this version. */
  readonly warnings: readonly string[]
  /** The path of setpriv(1), by which the child ends when we do; undefined where there is none. */
  readonly setpriv: string | undefined
}

/** Looked into when the search path does not have it. */
const MORE_FOLDERS = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/opt/etcd']

/**
 * Finds etcd: at `stated`, or by its name along the search path. Throws OperatingError
 * `unavailable` where there is none, it cannot be run, or it is too old.
 */
export async function findMemberProgram(
  stated: string | undefined,
  searchPath: string | undefined,
): Promise<MemberProgram> {
  const folders = [...(searchPath ?? '').split(delimiter).filter(Boolean), ...MORE_FOLDERS]
  const path = stated ?? (await findIn(folders, 'etcd'))
  if (path === undefined) throw missing('there is no program `etcd` on this machine')
  if (!(await isProgram(path))) throw missing(`${path} is no program that can be run`)
  const version = await versionOf(path)
  const warnings = warningsFor(version)
  return { path, version, warnings, setpriv: await findIn(folders, 'setpriv') }
}

const missing = (what: string): OperatingError =>
  new OperatingError(
    OperatingCode.unavailable,
    `${what}, and store.managed runs one. Install it (Debian and Ubuntu: apt-get install ` +
      'etcd-server, then systemctl disable --now etcd, since gatehouse starts its own), or name ' +
      'it with `member { program = "/path/of/etcd" }` in the store stanza',
  )

async function findIn(folders: readonly string[], name: string): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name)
    if (await isProgram(path)) return path
  }
  return undefined
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function versionOf(path: string): Promise<string> {
  let text: string
  try {
    const options = { env: {}, timeout: limits.memberVersionTimeoutMs }
    text = (await promisify(execFile)(path, ['--version'], options)).stdout
  } catch (error) {
    const why = messageOf(error).split('\n', 1)[0]
    throw new OperatingError(OperatingCode.unavailable, `${path} --version failed: ${why}`)
  }
  const [, version] = /^etcd Version: v?(\d+\.\d+\.\d+\S*)/m.exec(text) ?? []
  if (version !== undefined) return version
  const what = `${path} does not say its version as etcd does: is it another program?`
  throw new OperatingError(OperatingCode.unavailable, what)
}
