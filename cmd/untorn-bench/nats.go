package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsStore is one JetStream stream on the file store with SyncAlways, on a
// server inside this process that listens nowhere. Each writer has its own
// connection, through a pipe. A batch is an atomic publish: its last message
// commits it and is answered.
type natsStore struct {
	server *server.Server
	reader *nats.Conn
	conns  []*nats.Conn
	stream jetstream.Stream
}

const (
	natsStream  = "LOG"
	natsTimeout = 30 * time.Second
)

func openNATS(setup Setup) (_ Store, err error) {
	options := &server.Options{
		ServerName: "bench", DontListen: true, NoLog: true, NoSigs: true, JetStream: true,
		StoreDir: filepath.Join(setup.Dir, "nats"), SyncAlways: !setup.Buffered, SyncInterval: 2 * time.Minute,
		JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 1 << 40,
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	n := &natsStore{server: s}
	s.Start()
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if !s.ReadyForConnections(natsTimeout) {
		return nil, errors.New("the server does not get ready")
	}
	if n.reader, err = nats.Connect("", nats.InProcessServer(s)); err != nil {
		return nil, err
	}
	js, err := jetstream.New(n.reader)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), natsTimeout)
	defer cancel()
	n.stream, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: natsStream, Subjects: []string{"log.*"}, Storage: jetstream.FileStorage, AllowAtomicPublish: true,
	})
	if err != nil {
		return nil, err
	}
	for range setup.Writers {
		conn, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			return nil, err
		}
		n.conns = append(n.conns, conn)
	}
	return n, nil
}

func (n *natsStore) Writer(events []Event) func() error {
	conn := n.conns[0]
	if len(n.conns) > 1 {
		n.conns = n.conns[1:]
	}
	messages := make([]*nats.Msg, len(events))
	for i, e := range events {
		messages[i] = nats.NewMsg("log." + e.Stream)
		messages[i].Data = e.Data
	}
	last := messages[len(messages)-1]
	if len(messages) == 1 {
		return func() error { return natsAnswer(conn.RequestMsg(last, natsTimeout)) }
	}
	for i, m := range messages {
		m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
	}
	last.Header.Set("Nats-Batch-Commit", "1")
	source := newIDs()
	return func() error {
		batch := fmt.Sprintf("%x", source.next())
		for _, m := range messages {
			m.Header.Set("Nats-Batch-Id", batch)
			if m == last {
				break
			}
			if err := conn.PublishMsg(m); err != nil {
				return err
			}
		}
		return natsAnswer(conn.RequestMsg(last, natsTimeout))
	}
}

// natsAnswer is whether the stream took the message.
func natsAnswer(answer *nats.Msg, err error) error {
	if err != nil {
		return err
	}
	var ack struct {
		Stream string              `json:"stream"`
		Error  *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return err
	}
	if ack.Error != nil {
		return ack.Error
	}
	if ack.Stream != natsStream {
		return fmt.Errorf("unexpected answer %q", answer.Data)
	}
	return nil
}

func (n *natsStore) Read(visit func(data []byte) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), natsTimeout)
	defer cancel()
	info, err := n.stream.Info(ctx)
	if err != nil {
		return err
	}
	for i := info.State.FirstSeq; i <= info.State.LastSeq && info.State.Msgs > 0; i++ {
		m, err := n.stream.GetMsg(ctx, i)
		if err != nil {
			return err
		}
		if err := visit(m.Data); err != nil {
			return err
		}
	}
	return nil
}

func (n *natsStore) Close() error {
	for _, conn := range n.conns {
		conn.Close()
	}
	if n.reader != nil {
		n.reader.Close()
	}
	n.server.Shutdown()
	n.server.WaitForShutdown()
	return nil
}
