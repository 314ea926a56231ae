// A bridge on mautrix-go's bridgev2, made for the tests: the network behind it is the test itself, which writes what
// is said there to the bridge's standard input and reads what was said on Matrix from its standard output, a JSON
// object a line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"go.mau.fi/util/configupgrade"
	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/bridgev2/status"
	"maunium.net/go/mautrix/event"
)

// The one account on the network, whose owner is on Matrix; everybody else has a ghost.
const me = networkid.UserID("me")

// What is said on the network.
type line struct {
	ID   string `json:"id"`
	From string `json:"from"`
	Text string `json:"text"`
}

type connector struct{ bridge *bridgev2.Bridge }

func (c *connector) Init(bridge *bridgev2.Bridge)     { c.bridge = bridge }
func (c *connector) Start(context.Context) error      { return nil }
func (c *connector) GetBridgeInfoVersion() (int, int) { return 1, 1 }
func (c *connector) GetName() bridgev2.BridgeName {
	return bridgev2.BridgeName{
		DisplayName: "Test", NetworkURL: "https://example.org", NetworkID: "dummy",
		BeeperBridgeType: "example.org/dummy", DefaultPort: 29399, DefaultCommandPrefix: "!dummy",
	}
}
func (c *connector) GetDBMetaTypes() database.MetaTypes { return database.MetaTypes{} }
func (c *connector) GetCapabilities() *bridgev2.NetworkGeneralCapabilities {
	return &bridgev2.NetworkGeneralCapabilities{}
}
func (c *connector) GetConfig() (string, any, configupgrade.Upgrader) {
	return "", nil, configupgrade.NoopUpgrader
}
func (c *connector) LoadUserLogin(_ context.Context, login *bridgev2.UserLogin) error {
	login.Client = &account{login: login}
	return nil
}
func (c *connector) GetLoginFlows() []bridgev2.LoginFlow {
	return []bridgev2.LoginFlow{{Name: "Test", Description: "Logs in at once", ID: "test"}}
}
func (c *connector) CreateLogin(_ context.Context, user *bridgev2.User, _ string) (bridgev2.LoginProcess, error) {
	return &login{user: user}, nil
}

// Logging in asks for nothing.
type login struct{ user *bridgev2.User }

func (l *login) Cancel() {}
func (l *login) Start(ctx context.Context) (*bridgev2.LoginStep, error) {
	data := &database.UserLogin{ID: networkid.UserLoginID(me), RemoteName: string(me)}
	made, err := l.user.NewLogin(ctx, data, nil)
	if err != nil {
		return nil, err
	}
	made.Client.Connect(made.Log.WithContext(context.Background()))
	return &bridgev2.LoginStep{
		Type: bridgev2.LoginStepTypeComplete, StepID: "org.example.done", Instructions: "Logged in",
		CompleteParams: &bridgev2.LoginCompleteParams{UserLoginID: made.ID, UserLogin: made},
	}, nil
}

type account struct{ login *bridgev2.UserLogin }

func (a *account) Disconnect()                  {}
func (a *account) IsLoggedIn() bool             { return true }
func (a *account) LogoutRemote(context.Context) {}
func (a *account) IsThisUser(_ context.Context, user networkid.UserID) bool {
	return user == me
}

func (a *account) Connect(context.Context) {
	a.login.BridgeState.Send(status.BridgeState{StateEvent: status.StateConnected})
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			var said line
			if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
				panic(err)
			}
			a.login.QueueRemoteEvent(&simplevent.Message[string]{
				EventMeta: simplevent.EventMeta{
					Type: bridgev2.RemoteEventMessage, PortalKey: a.portal(), CreatePortal: true,
					Sender: sender(networkid.UserID(said.From)), Timestamp: time.Now(),
				},
				ID: networkid.MessageID(said.ID), Data: said.Text, ConvertMessageFunc: convert,
			})
		}
	}()
}

// There is one chat.
func (a *account) portal() networkid.PortalKey {
	return networkid.PortalKey{ID: "tea", Receiver: a.login.ID}
}

func sender(user networkid.UserID) bridgev2.EventSender {
	if user == me {
		return bridgev2.EventSender{IsFromMe: true, Sender: me, SenderLogin: networkid.UserLoginID(me)}
	}
	return bridgev2.EventSender{Sender: user}
}

func convert(_ context.Context, _ *bridgev2.Portal, _ bridgev2.MatrixAPI, text string) (*bridgev2.ConvertedMessage, error) {
	content := &event.MessageEventContent{MsgType: event.MsgText, Body: text}
	return &bridgev2.ConvertedMessage{
		Parts: []*bridgev2.ConvertedMessagePart{{Type: event.EventMessage, Content: content}},
	}, nil
}

func (a *account) GetChatInfo(context.Context, *bridgev2.Portal) (*bridgev2.ChatInfo, error) {
	members := bridgev2.ChatMemberMap{}
	for _, user := range []networkid.UserID{me, "bob"} {
		members[user] = bridgev2.ChatMember{EventSender: sender(user), Membership: event.MembershipJoin}
	}
	return &bridgev2.ChatInfo{
		Name:    ptr.Ptr("Tea"),
		Members: &bridgev2.ChatMemberList{IsFull: true, MemberMap: members, TotalMemberCount: len(members)},
	}, nil
}

func (a *account) GetUserInfo(_ context.Context, ghost *bridgev2.Ghost) (*bridgev2.UserInfo, error) {
	return &bridgev2.UserInfo{Name: ptr.Ptr(string(ghost.ID))}, nil
}

func (a *account) GetCapabilities(context.Context, *bridgev2.Portal) *event.RoomFeatures {
	return &event.RoomFeatures{ID: "org.example.dummy"}
}

func (a *account) HandleMatrixMessage(_ context.Context, message *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	said, err := json.Marshal(line{ID: string(message.Event.ID), From: string(message.Event.Sender), Text: message.Content.Body})
	if err != nil {
		return nil, err
	}
	fmt.Println(string(said))
	return &bridgev2.MatrixMessageResponse{
		DB: &database.Message{ID: networkid.MessageID(message.Event.ID), SenderID: me, Timestamp: time.Now()},
	}, nil
}

func main() {
	program := mxmain.BridgeMain{
		Name: "dummy", Description: "A bridge to the test that runs it.", URL: "https://example.org",
		Version: "1.0.0", Connector: &connector{},
	}
	program.Run()
}
