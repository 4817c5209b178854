// A peer by Pion; JSON lines both ways: {"offer": …} and {"answer": …}, then {"done": true}.
//
// pion_peer offer|answer <label>...: has a channel for each label, its own where it offers.
// "source:<bytes>:<max>" brings the messages of message_mix.h, "sink:<bytes>:<max>" takes them, any
// other echoes; what comes is compared.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/pion/webrtc/v3"
)

const (
	starts      = 65536
	maxBuffered = 1 << 20
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "pion_peer:", err)
		os.Exit(1)
	}
}

func expect(holds bool, what string, args ...interface{}) {
	if !holds {
		check(fmt.Errorf(what, args...))
	}
}

// message_mix.h
type mix struct {
	max, index, taken int
	table             []byte
}

func newMix(max int) *mix {
	table := make([]byte, starts+max)
	x := uint32(1)
	for k := range table {
		x = x*1664525 + 1013904223
		table[k] = byte(x >> 24)
	}
	return &mix{max: max, table: table}
}

func (m *mix) size() int {
	limit := []int{1, 0, 1500, 16384, m.max, 0, 1500, 16384}[m.index%8]
	if limit == 0 {
		return m.max
	}
	if limit > m.max {
		limit = m.max
	}
	return 1 + int((uint32(m.index)*2654435761)>>8)%limit
}

func (m *mix) take() []byte {
	start, size := m.index%starts, m.size()
	m.index++
	m.taken += size
	return m.table[start : start+size]
}

type channel struct {
	raw      *webrtc.DataChannel
	open     chan struct{}
	messages chan []byte
}

func watch(raw *webrtc.DataChannel) *channel {
	watched := &channel{raw, make(chan struct{}), make(chan []byte, 64)}
	raw.OnOpen(func() { close(watched.open) })
	raw.OnMessage(func(message webrtc.DataChannelMessage) { watched.messages <- message.Data })
	return watched
}

func (c *channel) work() {
	<-c.open
	parts := strings.Split(c.raw.Label(), ":")
	if len(parts) < 3 {
		c.echo()
		return
	}
	size, err := strconv.Atoi(parts[1])
	check(err)
	max, err := strconv.Atoi(parts[2])
	check(err)
	if parts[0] == "source" {
		c.receive(size, newMix(max))
	} else {
		c.send(size, newMix(max))
	}
}

func (c *channel) receive(size int, mix *mix) {
	for mix.taken < size {
		index, right, message := mix.index, mix.take(), <-c.messages
		expect(len(message) == len(right), "message %d has %d bytes", index, len(message))
		expect(bytes.Equal(message, right), "message %d differs", index)
	}
}

func (c *channel) send(size int, mix *mix) {
	drained := make(chan struct{}, 1)
	// Before it is open a channel of the other side's making takes no notice of them.
	c.raw.SetBufferedAmountLowThreshold(maxBuffered / 2)
	c.raw.OnBufferedAmountLow(func() {
		select {
		case drained <- struct{}{}:
		default:
		}
	})
	for mix.taken < size {
		for c.raw.BufferedAmount() > maxBuffered {
			<-drained
		}
		check(c.raw.Send(mix.take()))
	}
	told := string(<-c.messages)
	expect(told == "right", told)
}

func (c *channel) echo() {
	for _, size := range []int{1, 1200, 65535} {
		message := make([]byte, size)
		for i := range message {
			message[i] = byte(size + i)
		}
		check(c.raw.Send(message))
		expect(bytes.Equal(<-c.messages, message), "%d bytes changed", size)
	}
}

func write(line interface{}) {
	check(json.NewEncoder(os.Stdout).Encode(line))
}

// Sets our description and writes it, with all candidates.
func tell(connection *webrtc.PeerConnection, description webrtc.SessionDescription) {
	gathered := webrtc.GatheringCompletePromise(connection)
	check(connection.SetLocalDescription(description))
	<-gathered
	write(map[string]string{description.Type.String(): connection.LocalDescription().SDP})
}

func hear(connection *webrtc.PeerConnection) {
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	check(err)
	var told struct{ Offer, Answer string }
	check(json.Unmarshal(line, &told))
	description := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: told.Answer}
	if told.Offer != "" {
		description = webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: told.Offer}
	}
	check(connection.SetRemoteDescription(description))
}

func main() {
	role, labels := os.Args[1], os.Args[2:]
	connection, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	check(err)
	channels := make(chan *channel, len(labels))
	if role == "offer" {
		for _, label := range labels {
			ordered := !strings.HasPrefix(label, "unordered")
			raw, err := connection.CreateDataChannel(label, &webrtc.DataChannelInit{Ordered: &ordered})
			check(err)
			channels <- watch(raw)
		}
		offer, err := connection.CreateOffer(nil)
		check(err)
		tell(connection, offer)
		hear(connection)
	} else {
		connection.OnDataChannel(func(raw *webrtc.DataChannel) { channels <- watch(raw) })
		hear(connection)
		answer, err := connection.CreateAnswer(nil)
		check(err)
		tell(connection, answer)
	}
	done := make(chan struct{})
	for range labels {
		go func(each *channel) { each.work(); done <- struct{}{} }(<-channels)
	}
	for range labels {
		<-done
	}
	check(connection.Close())
	write(map[string]bool{"done": true})
}
