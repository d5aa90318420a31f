/** docs/sinks.md, followed word by word: its files are written and its commands run, in order. */
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { absent } from '../run/clients.ts'
import { root, startDaemon } from './daemon.ts'
import { freePort, launch, tempFolder } from './process.ts'

/** The page's own folder and ports become free ones. */
type Places = readonly (readonly [told: string, here: string])[]

const page = readFileSync(path.join(root, 'docs/sinks.md'), 'utf8')

async function startInstance(t: Test): Promise<number> {
  const server = createServer((_, answer) => answer.end('hello'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

/** Files and commands, in the order of the page. */
function* stepsOf(text: string): Generator<{ file: string; text: string } | { command: string }> {
  const BLOCK = /(?:^`([\w.-]+)`:\n\n)?^```(\w*)\n(.*?)^```$/gms
  for (const [, file, , content = ''] of text.matchAll(BLOCK)) {
    if (file !== undefined) yield { file, text: content }
    else if (content.startsWith('$ ')) {
      for (const line of content.trimEnd().split('\n')) yield { command: line.slice('$ '.length) }
    }
  }
}

t.test('the page, word by word', { skip: absent('haproxy', 'nginx', 'curl') }, async t => {
  const folder = path.join(tempFolder(t), 'balancer')
  mkdirSync(folder)
  const daemon = await startDaemon(t)
  const places: Places = [
    ['/srv/balancer', folder],
    ['127.0.0.1:8080', `127.0.0.1:${await freePort()}`],
    ['127.0.0.1:8081', `127.0.0.1:${await freePort()}`],
    ['9001', `${await startInstance(t)}`],
  ]
  const here = (text: string): string =>
    places.reduce((all, [told, own]) => all.replaceAll(told, own), text)
  const env = {
    PATH: `${path.join(root, 'bin')}:/usr/sbin:/usr/bin:${process.env.PATH}`,
    CONSUL_HTTP_ADDR: `127.0.0.1:${daemon.httpPort}`,
  }
  t.teardown(() => {
    for (const name of ['haproxy.pid', 'nginx.pid']) {
      const pid = Number(readFileSync(path.join(folder, name), 'utf8'))
      process.kill(pid, 'SIGTERM')
    }
  })
  let count = 0
  for (const step of stepsOf(page)) {
    count += 1
    if ('file' in step) {
      writeFileSync(path.join(folder, step.file), here(step.text))
      continue
    }
    const shell = launch(t, '/bin/sh', ['-c', here(step.command)], { cwd: folder, env })
    const [, told = '0'] = /# exit code (\d)/.exec(step.command) ?? []
    t.equal(await shell.ended, Number(told), `${step.command}\n${shell.stdout()}${shell.stderr()}`)
    if (step.command.startsWith('curl')) t.equal(shell.stdout(), 'hello')
  }
  t.equal(count, 16)
  const upstreams = readFileSync(path.join(folder, 'upstreams.conf'), 'utf8')
  t.match(upstreams, here('server 127.0.0.1:9001'), 'the last one is kept')
})
