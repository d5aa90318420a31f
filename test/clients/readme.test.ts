/**
 * README's examples, executed: each command of its `sh` blocks prints what stands under it.
 *
 * Only ports are exchanged for free ones, and what differs by machine (names, ids, paths, times)
 * is taken out of both texts. A line `…` stands for any lines.
 */
import { spawn } from 'node:child_process'
import { copyFileSync, readFileSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { absent } from '../run/clients.ts'
import { root } from './daemon.ts'
import { freePort, launch, tempFolder, until } from './process.ts'

interface Step {
  readonly command: string
  readonly expected: string
}

t.test('README', { skip: absent('dig', 'curl', 'python3-consul', 'python3-hvac') }, async t => {
  const ports = new Map<string, number>()
  for (const port of ['8500', '8502', '8600', '8300', '8200', '8080'])
    ports.set(port, await freePort())
  const onFreePorts = (text: string) =>
    text.replaceAll(/\b(8500|8502|8600|8300|8200|8080)\b/g, port => String(ports.get(port)))
  const clone = fakeClone(t)
  const run = startShell(t, clone)
  const steps = stepsOf(readFileSync(path.join(root, 'README.md'), 'utf8'))
  t.ok(steps.length >= 8, `${steps.length} commands`)
  let rootToken = ''
  for (const { command, expected } of steps) {
    const wanted = patternOf(onFreePorts(expected))
    const words = [
      '--',
      `-http-port=${ports.get('8500')}`,
      `-grpc-port=${ports.get('8502')}`,
      `-dns-port=${ports.get('8600')}`,
      `-server-port=${ports.get('8300')}`,
      `-secrets-port=${ports.get('8200')}`,
    ]
    let found = ''
    if (command.startsWith('npm start')) {
      const more = /^npm start -- ([^']*)'([^']*)'$/.exec(command)
      const given = more === null ? words : [...words, `${more[1]}${more[2]}`]
      const npm = launch(t, 'npm', ['start', ...given], { cwd: clone, group: true })
      await until('Ready', () => npm.stdout().includes('\nReady.\n') || !npm.isRunning(), 60_000)
      rootToken ||= /hvs\.\w+/.exec(npm.stdout())?.[0] ?? ''
      found = npm
        .stdout()
        .replace(words.join(' '), '')
        .replace(` ${words.slice(1).join(' ')}`, '')
    } else {
      // What only reads is asked again: a check needs its moment to run.
      const isRead = /^(dig|curl (?!.*-X))/.test(command)
      const end = performance.now() + (isRead ? 15_000 : 0)
      const asked = rootToken === '' ? command : command.replace(/hvs\.\w+/, rootToken)
      do found = await run(onFreePorts(asked))
      while (!wanted.test(plain(found)) && performance.now() < end)
    }
    t.match(plain(found), wanted, command)
  }
})

/** The commands of the `sh` blocks; a command goes on while a quote is open. */
function stepsOf(page: string): Step[] {
  const steps: { command: string; expected: string }[] = []
  for (const [, block = ''] of page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)) {
    for (const line of block.split('\n')) {
      const last = steps.at(-1)
      const isOpen = ((last?.command.match(/'/g)?.length ?? 0) & 1) === 1
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), expected: '' })
      else if (last !== undefined && isOpen) last.command += `\n${line}`
      else if (last !== undefined) last.expected += `${line}\n`
    }
  }
  return steps
}

/** What differs by machine and moment, put into one form; spaces and blank lines do not count. */
function plain(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replaceAll(/-request=\S+/g, '-request=ID')
    .replaceAll(/hvs\.\w+/g, 'TOKEN')
    .replaceAll(/^(Token: +)\w{24}\b/gm, '$1ACCESSOR')
    .replaceAll(/\S+\.node\.dc1/g, 'NODE.node.dc1')
    .replaceAll(/^( *node +)\S+/gm, '$1NODE')
    .replaceAll(/\S+\/data\b/g, 'DATA')
    .replaceAll(/ +/g, ' ')
    .replaceAll(/\s*\n\s*/g, '\n')
    .trim()
}

function patternOf(expected: string): RegExp {
  const lines = plain(expected)
    .split('\n')
    .map(line => (line === '…' ? '[\\s\\S]*' : line.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')))
  return new RegExp(`^${lines.join('\n')}$`)
}

/** A folder in which `npm start` works as in a clone, with its data beside it. */
function fakeClone(t: Test): string {
  const folder = tempFolder(t)
  copyFileSync(path.join(root, 'package.json'), path.join(folder, 'package.json'))
  for (const name of ['bin', 'node_modules']) {
    symlinkSync(path.join(root, name), path.join(folder, name))
  }
  return folder
}

/** One shell for all commands, as a person has it; gives what each prints. */
function startShell(t: Test, cwd: string): (command: string) => Promise<string> {
  const END = '@end@'
  const shell = spawn('bash', { cwd, stdio: ['pipe', 'pipe', 'ignore'] })
  t.teardown(() => {
    shell.stdin.end('kill $(jobs -p)\n')
  })
  let printed = ''
  shell.stdout.setEncoding('utf8').on('data', text => {
    printed += text
  })
  return async command => {
    printed = ''
    shell.stdin.write(`${command}\necho '${END}'\n`)
    await until(command, () => printed.includes(END))
    return printed.slice(0, printed.lastIndexOf(END))
  }
}
