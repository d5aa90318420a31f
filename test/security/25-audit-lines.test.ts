/**
 * Class 25, from the side of what is written: text that a client chose ends up at the beginning of
 * a line of an audit file, as code or as a record that never was (CVE-2025-6000). Whatever is sent,
 * each line is one record of ours. Where files may lie stands in 25-audit-sinks.test.ts.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { deviceKinds } from '../../src/audit/device/mod.ts'
import { parseLine } from '../../src/audit/line.ts'
import { startDaemon } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'
import { freshFolder } from '../fake/folder.ts'
import { ROOT } from '../http/acl.ts'
import { declaredPaths } from '../http/declared.ts'
import { propertyRuns } from '../run/budget.ts'

t.test('no path takes a device, and no device what stands before a record', async t => {
  const paths = declaredPaths.filter(({ path }) => /audit/.test(path))
  t.ok(paths.length > 0)
  for (const { path, operations } of paths) t.strictSame(Object.keys(operations), ['GET'], path)
  for (const { path, operations } of declaredPaths) {
    for (const operation of Object.values(operations)) {
      const body = 'body' in operation ? operation.body : undefined
      if (body === undefined || !('shape' in body)) continue
      t.notMatch(JSON.stringify(body.shape.schema), /"(sink|audit|device)/i, path)
    }
  }
  for (const { type, fields } of deviceKinds) {
    t.strictSame(
      Object.keys(fields).filter(name => /prefix|suffix|format_|template|mode|owner/.test(name)),
      [],
      type,
    )
  }
})

t.test('attack: whatever clients send, each line is one record of ours', async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.log')
  const config = `acl { enabled = true default_policy = "deny"
      tokens { initial_management = "${ROOT}" } }
    audit { reads = true allowed_folders = ["${folder}"]
      sink "f" { type = "file" path = "${path}" } }`
  const daemon = await startDaemon(t, { words: [`-hcl=${config}`] })
  const forged = '{"v":1,"seq":1,"time":"x"}'
  const codes = [
    '\n',
    '\r\n',
    '\u2028',
    '\u0000',
    '\u001b[2J',
    '#!/bin/sh\n',
    '<?php x',
    '*/5 * * * * x\n',
  ]
  let sent = 0
  for (const code of codes) {
    const part = encodeURIComponent(`${code}${forged}`)
    for (const [method, url] of [
      ['PUT', `/v1/kv/${part}?token=${ROOT}`],
      ['GET', `/v1/kv/${part}`],
      ['PUT', `/v1/session/create?dc=${part}&token=${ROOT}`],
      ['DELETE', `/v1/acl/token/${part}?token=${ROOT}`],
    ] as const) {
      await daemon.ask(method, url, code + forged)
      sent++
    }
  }
  await daemon.ask('PUT', `/v1/kv/last?token=${ROOT}`, 'x')
  await until('all is there', () => readFileSync(path, 'utf8').includes('"path":"/v1/kv/last"'))
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  t.ok(lines.length >= sent / 2, `${lines.length} lines`)
  const sequences = lines.map(line => parseLine(line)?.sequence ?? 0)
  t.ok(
    sequences.every((number, i) => i === 0 || number === sequences[i - 1]! + 1),
    'without a gap',
  )
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
  for (const line of lines) t.notMatch(line, /[\x00-\x1f\x7f\u2028\u2029]/)
  t.equal(statSync(path).mode & 0o777, 0o600)
})

t.test('generated: any bytes in a path are one record', async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.log')
  const config = `audit { enabled = true reads = true allowed_folders = ["${folder}"]
      sink "f" { type = "file" path = "${path}" } }`
  const daemon = await startDaemon(t, { engine: 'memory', words: [`-hcl=${config}`] })
  let sent = 0
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), async name => {
      const part = encodeURIComponent(name.toWellFormed())
      await daemon.ask('PUT', `/v1/kv/a${part}`, name)
      sent++
    }),
    { numRuns: propertyRuns() },
  )
  await daemon.ask('PUT', '/v1/kv/last', 'x')
  await until('all is there', () => readFileSync(path, 'utf8').includes('"path":"/v1/kv/last"'))
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  t.ok(lines.length >= sent / 2, `${lines.length} lines of ${sent} requests`)
  for (const line of lines) if (parseLine(line) === undefined) t.fail(JSON.stringify(line))
})
