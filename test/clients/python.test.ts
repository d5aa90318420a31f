/** Debian's python3-consul, unchanged, over all that is served: python-consul.py says what. */
import path from 'node:path'
import t from 'tap'
import { absent } from '../run/clients.ts'
import { startDaemon } from './daemon.ts'
import { assertScript, launch } from './process.ts'

t.test('python3-consul', { skip: absent('python3-consul') }, async t => {
  const daemon = await startDaemon(t)
  const script = path.join(import.meta.dirname, 'python-consul.py')
  const env = { PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf8' }
  await assertScript(t, launch(t, '/usr/bin/python3', [script, String(daemon.httpPort)], { env }))
  const guarded = await startDaemon(t, {
    words: ['-hcl=acl { enabled = true default_policy = "deny" }'],
  })
  const words = [script, String(guarded.httpPort), 'acl']
  await assertScript(t, launch(t, '/usr/bin/python3', words, { env }))
})
