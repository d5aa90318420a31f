/** Against a `systemctl` of ours; where the real one is, it is asked whether it takes the words. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { runOsService } from '../../src/checks/os-service.run.ts'
import { unitQuestion } from '../../src/checks/unit-state.ts'
import { once, programsHere } from './support.ts'
import { systemctlFolder } from './targets.ts'

t.test('states, complaints, and no tool at all', async t => {
  const programs = programsHere({ PATH: `${systemctlFolder(t)}:${process.env.PATH}` })
  const ask = (osService: string) => once(runOsService, { osService }, { programs })
  t.same(await ask('active'), { status: 'passing', output: 'Service "active" is healthy' })
  t.match(await ask('activating'), { status: 'warning' })
  t.match(await ask('missing'), { status: 'critical', output: /not-found/ })
  t.match(await ask('broken'), {
    status: 'critical',
    output: /^error querying service status: Failed to connect to bus/,
  })
  const nowhere = { programs: programsHere({ PATH: '/nowhere' }) }
  const none = await once(runOsService, { osService: 'web' }, nowhere)
  t.match(none, {
    status: 'critical',
    output: 'exec: "systemctl": executable file not found in $PATH',
  })
})

t.test('the real tool knows the words', async t => {
  const [tool = '', ...words] = unitQuestion('no-such-unit')
  const { error, stdout, stderr } = spawnSync(tool, words, { encoding: 'utf8' })
  if (error !== undefined) t.comment('no systemctl here')
  // Without a running systemd it says so, and does not complain of its arguments.
  else t.match(`${stdout}${stderr}`, /LoadState=not-found|not been booted|connect to bus/)
})
