/** Which etcd is run, and what is said where there is none. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findMemberProgram } from '../../../../src/store/etcd/member/program.ts'
import { freshFolder } from '../../../fake/folder.ts'
import { absent, clientFile } from '../../../run/clients.ts'

t.test('program: the one of this machine', { skip: absent('etcd') }, async t => {
  const { path, version, setpriv } = await findMemberProgram(clientFile('etcd'), '/usr/bin')
  t.equal(path, clientFile('etcd'))
  t.match(version, /^3\.\d+\.\d+/)
  t.equal(setpriv, '/usr/bin/setpriv')
})

t.test('program: along the search path, by its name', async t => {
  const folder = freshFolder(t)
  program(folder, 'etcd', 'echo "etcd Version: 3.6.14"')
  const empty = freshFolder(t)
  const { path, version, warnings } = await findMemberProgram(undefined, `${empty}:${folder}`)
  t.equal(path, join(folder, 'etcd'))
  t.equal(version, '3.6.14')
  t.same(warnings, [])
})

t.test('program: a version without fixes is warned of by its name', async t => {
  const path = program(freshFolder(t), 'etcd', 'echo "etcd Version: 3.5.12"')
  const { warnings } = await findMemberProgram(path, undefined)
  t.match(warnings, [/^etcd 3\.5\.12 lacks fixes.*3\.5\.33/])
})

t.test('program: what cannot be run says the way out', async t => {
  const rejects = (path: string, message: RegExp) =>
    t.rejects(findMemberProgram(path, undefined), { code: 'unavailable', message })
  await rejects('/no/such/etcd', /no\/such\/etcd is no program.*apt-get install etcd-server/)
  const folder = freshFolder(t)
  await rejects(program(folder, 'old', 'echo "etcd Version: 3.3.27"'), /3\.3\.27 is too old/)
  await rejects(program(folder, 'other', 'echo hello'), /does not say its version/)
  await rejects(program(folder, 'broken', 'exit 3'), /broken --version failed/)
})

function program(folder: string, name: string, script: string): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

t.test('program: no secret of ours reaches it', async t => {
  const path = reporting(t)
  process.env.GATEHOUSE_TEST_SECRET = 'planted'
  t.teardown(() => delete process.env.GATEHOUSE_TEST_SECRET)
  const { version } = await findMemberProgram(path, undefined)
  t.equal(version, '3.6.14-0', 'the variable is not set in its environment')
})

/** Says in its version how long the planted variable is. */
function reporting(t: Test): string {
  const script = 'echo "etcd Version: 3.6.14-$(printenv GATEHOUSE_TEST_SECRET | wc -c)"'
  return program(freshFolder(t), 'etcd', script)
}
