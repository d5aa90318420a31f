package main

import (
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/consul/api"
)

// Runs the verb `lock` of the command line, which gets its command's words after these.
func lockVerb(words ...string) *exec.Cmd {
	command := exec.Command(os.Args[2], append([]string{"lock"}, words...)...)
	command.Env = append(os.Environ(), "CONSUL_HTTP_ADDR=127.0.0.1:"+os.Args[1])
	return command
}

// Starts the verb with a command that runs until the returned function is called; that one gives
// what the verb said at its end.
func holdByVerb(words ...string) func() error {
	command := lockVerb(append([]string{"-pass-stdin"}, words...)...)
	input, err := command.StdinPipe()
	no(err, "stdin of the verb")
	no(command.Start(), "the verb starts")
	return func() error {
		_, _ = io.WriteString(input, "\n")
		_ = input.Close()
		return command.Wait()
	}
}

// Locks and semaphores of the command line and of this client exclude each other.
func commandLine() {
	ours := func() *api.Lock {
		lock, err := client.LockOpts(&api.LockOptions{
			Key: "cli/one/.lock", LockTryOnce: true, LockWaitTime: 300 * time.Millisecond,
		})
		no(err, "lock beside the command line")
		return lock
	}
	lock := ours()
	lost, err := lock.Lock(nil)
	ok(err == nil && lost != nil, "this client holds it", err)
	ok(lockVerb("-timeout=300ms", "cli/one", "true").Run() != nil, "the verb lock does not")
	no(lock.Unlock(), "this client gives it back")
	no(lockVerb("cli/one", "true").Run(), "then the verb lock has it")

	release := holdByVerb("cli/one", "cat")
	until("the verb lock holds it", func() bool {
		pair, _, err := client.KV().Get("cli/one/.lock", nil)
		return err == nil && pair != nil && pair.Session != "" && pair.Flags == api.LockFlagValue
	})
	lost, err = ours().Lock(nil)
	ok(err == nil && lost == nil, "this client waits in vain", err)
	no(release(), "the verb lock ends well")
	lock = ours()
	lost, err = lock.Lock(nil)
	ok(err == nil && lost != nil, "then this client has it", err)
	no(lock.Unlock(), "and gives it back")

	semaphore, err := client.SemaphorePrefix("cli/many", 2)
	no(err, "semaphore beside the command line")
	slot, err := semaphore.Acquire(nil)
	ok(err == nil && slot != nil, "this client has a place", err)
	ok(lockVerb("-n=3", "cli/many", "true").Run() != nil, "another limit is refused")
	release = holdByVerb("-n=2", "cli/many", "cat")
	until("the verb lock has the other place", func() bool {
		pairs, _, err := client.KV().List("cli/many", nil)
		return err == nil && len(pairs) == 3
	})
	ok(lockVerb("-n=2", "-timeout=300ms", "cli/many", "true").Run() != nil, "there is no third")
	no(release(), "the verb lock ends well with its place")
	no(semaphore.Release(), "this client gives its place back")
	no(semaphore.Destroy(), "nobody has a place then")
}
