/**
 * Compiles a Go program of a folder beside this file, on the toolchain that the machine has.
 *
 * Owns the settings of that: nothing but its modules is fetched, once, through Go's own proxy.
 */
import path from 'node:path'
import type { Test } from 'tap'
import { clientFile } from '../run/clients.ts'
import { launch, tempFolder } from './process.ts'

const settings = {
  GOTOOLCHAIN: 'local',
  GOFLAGS: '-mod=readonly -buildvcs=false',
  GOWORK: 'off',
  CGO_ENABLED: '0',
}

/**
 * Gives the compiled program's path. `verb` is `build`, or `test -c` for a program of tests; `what`
 * is the folder's own program, or one of a module that its `go.mod` names.
 */
export async function buildGo(
  t: Test,
  folder: string,
  verb: readonly string[] = ['build'],
  what = '.',
): Promise<string> {
  const program = path.join(tempFolder(t), path.basename(what === '.' ? folder : what))
  const build = launch(t, clientFile('go'), [...verb, '-o', program, what], {
    env: settings,
    cwd: path.join(import.meta.dirname, folder),
  })
  t.equal(await build.ended, 0, `it compiles: ${build.stderr()}`)
  return program
}
