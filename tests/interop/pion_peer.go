// Offers a connection by Pion, and does what its arguments say; JSON lines both ways.
//
// pion_peer <megabytes>: receives that much on one channel, sends as much on a second, and sends
// messages of several sizes to be echoed on a third, ordered, and on a fourth, unordered.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/pion/webrtc/v3"
)

const (
	block       = 32768 // Pion reads no message of more than 65,535 bytes
	maxBuffered = 1 << 20
)

var sizes = []int{1, 1200, 65535}

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

func pattern(size, seed int) []byte {
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = byte(seed + i)
	}
	return bytes
}

type channel struct {
	raw      *webrtc.DataChannel
	open     chan struct{}
	drained  chan struct{}
	messages chan []byte
}

func open(connection *webrtc.PeerConnection, label string, ordered bool) *channel {
	raw, err := connection.CreateDataChannel(label, &webrtc.DataChannelInit{Ordered: &ordered})
	check(err)
	opened := &channel{raw, make(chan struct{}), make(chan struct{}, 1), make(chan []byte, 64)}
	raw.SetBufferedAmountLowThreshold(maxBuffered / 2)
	raw.OnBufferedAmountLow(func() {
		select {
		case opened.drained <- struct{}{}:
		default:
		}
	})
	raw.OnOpen(func() { close(opened.open) })
	raw.OnMessage(func(message webrtc.DataChannelMessage) { opened.messages <- message.Data })
	return opened
}

func (c *channel) receive(count int) {
	for index := 0; index < count; index++ {
		message := <-c.messages
		expect(len(message) == block, "message %d has %d bytes", index, len(message))
		number := int(binary.BigEndian.Uint32(message))
		expect(number == index, "message %d came as %d", index, number)
		expect(bytes.Equal(message[4:], pattern(block-4, index)), "message %d changed", index)
	}
}

func (c *channel) send(count int) {
	<-c.open
	message := pattern(block, 1)
	for index := 0; index < count; index++ {
		for c.raw.BufferedAmount() > maxBuffered {
			<-c.drained
		}
		check(c.raw.Send(message))
	}
	told := <-c.messages
	expect(len(told) == 8 && binary.BigEndian.Uint64(told) == uint64(count*block), "not all arrived")
}

func (c *channel) echo() {
	<-c.open
	for _, size := range sizes {
		check(c.raw.Send(pattern(size, size)))
		expect(bytes.Equal(<-c.messages, pattern(size, size)), "%d bytes changed", size)
	}
}

func main() {
	megabytes, err := strconv.Atoi(os.Args[1])
	check(err)
	count := megabytes * (1 << 20) / block
	connection, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	check(err)
	source := open(connection, fmt.Sprintf("source:%d:%d", count, block), true)
	sink := open(connection, fmt.Sprintf("sink:%d", count*block), true)
	ordered := open(connection, "ordered", true)
	unordered := open(connection, "unordered", false)
	work := []func(){
		func() { source.receive(count) }, func() { sink.send(count) }, ordered.echo, unordered.echo,
	}

	offer, err := connection.CreateOffer(nil)
	check(err)
	gathered := webrtc.GatheringCompletePromise(connection)
	check(connection.SetLocalDescription(offer))
	<-gathered
	output := json.NewEncoder(os.Stdout)
	check(output.Encode(map[string]string{"offer": connection.LocalDescription().SDP}))
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	check(err)
	var answer struct{ Answer string }
	check(json.Unmarshal(line, &answer))
	description := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.Answer}
	check(connection.SetRemoteDescription(description))

	done := make(chan struct{})
	for _, each := range work {
		go func(each func()) { each(); done <- struct{}{} }(each)
	}
	for range work {
		<-done
	}
	check(connection.Close())
	check(output.Encode(map[string]bool{"done": true}))
}
