// Prometheus's own discovery of Consul services, with nothing round it: prints, as lines of JSON,
// the targets that it would scrape, whenever they change. Its arguments are the server's address
// and, if given, the one service that it follows.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

type group struct {
	Source  string
	Targets []model.LabelSet
	Labels  model.LabelSet
}

func main() {
	config := consul.SDConfig{Server: os.Args[1], RefreshInterval: model.Duration(time.Second), AllowStale: true, TagSeparator: ","}
	config.Services = os.Args[2:]
	discovery, err := consul.NewDiscovery(&config, log.NewLogfmtLogger(os.Stderr))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	updates := make(chan []*targetgroup.Group)
	go discovery.Run(context.Background(), updates)
	lines := json.NewEncoder(os.Stdout)
	for groups := range updates {
		for _, one := range groups {
			if one == nil {
				continue
			}
			if err := lines.Encode(group{one.Source, one.Targets, one.Labels}); err != nil {
				os.Exit(1)
			}
		}
	}
}
