/** Debian's nginx as a child: one process, its own port, every file in its own folder. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { clientFile } from '../run/clients.ts'
import { askPort } from './daemon.ts'
import { type Launched, launch, tempFolder, until } from './process.ts'

/** Starts nginx on `port`; it answers everything with `text`. Resolves when it does. */
export async function startNginx(t: Test, port: number, text: string): Promise<Launched> {
  const folder = tempFolder(t)
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const config = `
    daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log stderr warn;
    events { worker_connections 128; }
    http {
      access_log off;
      ${paths.map(name => `${name}_temp_path ${folder}/${name};`).join('\n')}
      server {
        listen 127.0.0.1:${port};
        location / { return 200 "${text}"; }
      }
    }`
  const file = path.join(folder, 'nginx.conf')
  writeFileSync(file, config)
  const words = ['-p', folder, '-c', file, '-e', path.join(folder, 'error.log')]
  const nginx = launch(t, clientFile('nginx'), words)
  await until(`nginx answers: ${nginx.stderr()}`, async () => {
    if (!nginx.isRunning()) throw new Error(`nginx ended: ${nginx.stderr()}`)
    return (await askPort(port, 'GET', '/')).status === 200
  })
  return nginx
}

/** Stops it and waits until it is gone. */
export async function stopNginx(nginx: Launched): Promise<void> {
  nginx.signal('SIGTERM')
  await nginx.ended
}
