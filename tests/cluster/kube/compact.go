package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// compact ENDPOINT: makes etcd forget every revision but the newest.
func compact(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: kube compact http://ADDRESS:PORT")
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: args, DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// Any read tells the revision.
	got, err := client.Get(ctx, "/")
	if err != nil {
		return err
	}
	_, err = client.Compact(ctx, got.Header.Revision, clientv3.WithCompactPhysical())
	return err
}
