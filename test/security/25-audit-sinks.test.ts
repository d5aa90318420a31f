/**
 * Past holes: an audit device that somebody adds by API and that writes any file, or code into one
 * (CVE-2025-6000).
 *
 * Attack: devices by request, by another folder, by a link, by a prefix. Near miss: the same in a
 * folder that is allowed. Generated: any path leads into an allowed folder, or is refused.
 */
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import t from 'tap'
import { resolveConfig } from '../../src/agent/config.ts'
import { fileDevice } from '../../src/audit/device/file.ts'
import { devicePorts, never, shipment } from '../audit/support.ts'
import { freshFolder } from '../fake/folder.ts'
import { seeded } from '../fake/random.ts'
import { startFace } from '../http/harness.ts'
import { isLong, untilBudget } from '../run/budget.ts'

t.test('attack: no request adds, changes or removes a device', async t => {
  const face = await startFace(t, { audit: {} })
  const sink = { type: 'file', options: { path: '/tmp/evil', prefix: '#!/bin/sh\n' } }
  for (const path of [
    '/v1/operator/audit',
    '/v1/operator/audit/x',
    '/v1/sys/audit/x',
    '/v1/agent/audit',
  ]) {
    for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
      const { status } = await face.client.raw(method, path, sink)
      t.ok(status === 404 || status === 405, `${method} ${path}: ${status}`)
    }
  }
  const ofAudit = face.paths.filter(({ path }) => path.includes('audit'))
  t.same(
    ofAudit.map(({ path, operations }) => `${Object.keys(operations)} ${path}`),
    ['GET /v1/operator/audit', 'GET /v1/operator/audit/verify'],
    'all that is declared reads',
  )
})

t.test('attack: what a file begins with is not for the configuration to say', async t => {
  const stanza = 'audit { enabled = true sink "a" { type = "file" path = "/w/x" prefix = "#!" } }'
  const texts = [{ name: 'a.hcl', text: stanza, format: 'hcl' as const }]
  const surroundings = { hostName: 'h', interfaces: [], workingDir: '/w' }
  const result = resolveConfig({ texts, flags: [], isDev: false }, surroundings)
  t.match(result, { problems: [/prefix: unknown key/] })
})

t.test('near miss: the same file in a folder that is allowed, for its user alone', async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.log')
  const device = fileDevice.open({ path }, { ...devicePorts, folders: [folder] })
  await device.write(shipment(1), never())
  t.equal(statSync(path).mode & 0o777, 0o600)
  await device.close()
})

t.test('attack: up behind a link, which the system goes through first', async t => {
  const root = freshFolder(t)
  const [allowed, other] = [join(root, 'allowed'), join(root, 'other')]
  for (const folder of [allowed, other]) mkdirSync(folder)
  symlinkSync(other, join(allowed, 'link'))
  const path = [allowed, 'link', '..', 'audit.log'].join(sep)
  const device = fileDevice.open({ path }, { ...devicePorts, folders: [allowed] })
  await device.write(shipment(1), never())
  await device.close()
  t.notOk(existsSync(join(root, 'audit.log')), 'not beside what is allowed')
  t.ok(existsSync(join(allowed, 'audit.log')), 'but where the path was looked at')
})

t.test('generated: any path is in an allowed folder, or refused', async t => {
  const root = freshFolder(t)
  const [allowed, other] = [join(root, 'allowed'), join(root, 'other')]
  for (const folder of [allowed, other, join(allowed, 'sub'), `${allowed}-not`]) mkdirSync(folder)
  symlinkSync(other, join(allowed, 'link'))
  symlinkSync(allowed, join(other, 'back'))
  const steps = ['allowed', 'other', 'sub', 'link', 'back', '..', '.', 'allowed-not', '...', '..a']
  let written = 0
  const count = await untilBudget(
    'paths of audit files',
    5_000,
    async index => {
      const draw = seeded(index)
      const way = Array.from({ length: 1 + draw.below(5) }, () => draw.pick(steps))
      const path = [root, ...way, `f${index}`].join(sep)
      const device = fileDevice.open({ path }, { ...devicePorts, folders: [allowed] })
      const isWritten = await device.write(shipment(1), never()).then(
        () => true,
        () => false,
      )
      await device.close()
      if (isWritten) written++
      const outside = [root, other, `${allowed}-not`].flatMap(folder => readdirSync(folder))
      if (outside.includes(`f${index}`)) throw new Error(`case ${index}: ${path}`)
      if (isWritten !== existsSync(resolve(path)))
        throw new Error(`case ${index}: ${path} is not as told`)
    },
    100,
  )
  t.ok(count >= (isLong ? 5_000 : 100) && written > 0, `${written} of ${count} written`)
  t.ok(existsSync(resolve(dirname(allowed))))
})
