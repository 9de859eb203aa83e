// All programs of a small Kubernetes cluster in one: the first argument names the one to run.
//
// Two of them are ours: `pki` makes certificates and kubeconfigs, `compact` makes etcd forget its
// history, so that the API server answers 410 Gone. With KUBE_ENDS_WITH_STDIN set, any of them ends
// when its standard input does, so that no test leaves it behind. One program, because a link takes seconds but
// a build from nothing takes minutes, and because one file is easy to cache.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// What each name runs; a program that needs its arguments takes them from os.Args.
var programs = map[string]func() error{
	"etcd":                    func() error { etcdmain.Main(os.Args); return nil },
	"coredns":                 func() error { coremain.Run(); return nil },
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllermanager.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"kubectl":                 command(kubectl.NewDefaultKubectlCommand),
	"pki":                     func() error { return pki(os.Args[1:]) },
	"compact":                 func() error { return compact(os.Args[1:]) },
}

// Commands of Kubernetes end the process themselves, with their exit code.
func command(make func() *cobra.Command) func() error {
	return func() error {
		os.Exit(cli.Run(make()))
		return nil
	}
}

func main() {
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		names := slices.Sorted(maps.Keys(programs))
		fmt.Fprintf(os.Stderr, "usage: kube %s [argument...]\n", strings.Join(names, "|"))
		os.Exit(2)
	}
	os.Args = os.Args[1:]
	if os.Getenv("KUBE_ENDS_WITH_STDIN") != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	if err := programs[os.Args[0]](); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}
