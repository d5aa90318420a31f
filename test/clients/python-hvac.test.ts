/** Debian's python3-hvac, unchanged, over what the secrets serve: python-hvac.py says what. */
import path from 'node:path'
import t from 'tap'
import { absent } from '../run/clients.ts'
import { assertScript, launch } from './process.ts'
import { startSecrets } from './secrets.ts'

t.test('python3-hvac', { skip: absent('python3-hvac', 'openssl') }, async t => {
  const { address } = await startSecrets(t)
  const script = path.join(import.meta.dirname, 'python-hvac.py')
  const env = { PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf8' }
  await assertScript(t, launch(t, '/usr/bin/python3', [script, address], { env }))
})
