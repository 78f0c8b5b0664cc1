package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConversationReaderTest {

  private static final ChatMessage GO = ChatMessage.user("Go.");
  private static final ChatMessage OK = ChatMessage.assistant("OK.");

  @TempDir Path folder;

  private Conversation read(ConversationReader reader, String json) throws IOException {
    Path file = Files.writeString(folder.resolve("data.jsonl"), json.replace('\'', '"') + "\n");
    try (Stream<Conversation> records = DataFile.jsonl(file).map(reader).stream()) {
      return records.toList().get(0);
    }
  }

  private Conversation shareGpt(String json) throws IOException {
    return read(ConversationReader.shareGpt(), json);
  }

  private Conversation messages(String json) throws IOException {
    return read(ConversationReader.messages(), json);
  }

  private static String turns(String answer) {
    return "{'messages':[{'role':'user','content':'Go.'}," + answer + "]}";
  }

  @Test
  void joinsTheTextsOfParts() throws IOException {
    Conversation conversation =
        messages(
            "{'messages':[{'role':'user','content':[{'type':'text','text':'Go'},{'text':'.'}]},"
                + "{'role':'assistant','content':['OK','.']}]}");

    assertThat(conversation).isEqualTo(Conversation.of(GO, OK));
  }

  @Test
  void refusesPartsThatAreNoTextByTheirType() {
    assertThatThrownBy(
            () ->
                messages(
                    turns(
                        "{'role':'assistant','content':[{'type':'text','text':'a'},"
                            + "{'type':'image_url','image_url':{'url':'u'}}]}")))
        .hasMessage(
            folder.resolve("data.jsonl")
                + ", line 1, record 0, field \"messages[1].content[1]\": is a part of type"
                + " \"image_url\", but only parts of type \"text\" with a text can be learnt;"
                + " leave it out");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // OpenAI's text of arguments, an object, OpenAI's older field, all as one text
        "'content':null,'tool_calls':[{'id':'c','type':'function','function':"
            + "{'name':'weather','arguments':'{~city~: ~Bonn~}'}}]",
        "'tool_calls':[{'function':{'name':'weather','arguments':{'city':'Bonn'}}}]",
        "'content':null,'function_call':{'name':'weather','arguments':'{~city~: ~Bonn~}'}",
        "'content':null,'tool_calls':'[{~function~:{~name~:~weather~,~arguments~:{~city~:~Bonn~}}}]'"
      })
  void readsToolCallsSoThatArgumentsAreWrittenOnce(String fields) throws IOException {
    Conversation conversation =
        messages(turns("{'role':'assistant'," + fields + "}").replace("~", "\\\""));

    ChatTemplate template =
        ChatTemplate.of(
            "{% for m in messages %}{% for c in m.tool_calls or [] %}"
                + "{{ c.function | tojson }}{% endfor %}{% endfor %}");
    assertThat(template.render(conversation.messages(), RenderOptions.DEFAULT).text())
        .isEqualTo("{\"name\": \"weather\", \"arguments\": {\"city\": \"Bonn\"}}");
    assertThat(conversation.messages().get(1).toMap()).doesNotContainKey("content");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"name\":\"f\",\"arguments\":\"[1]\"} | tool_calls[0].function.arguments\": expected an object, found an array",
        "{\"name\":\"f\",\"arguments\":\"city\"} | tool_calls[0].function.arguments\": is not readable as JSON text",
        "{\"name\":\"f\",\"arguments\":\"{} {}\"} | tool_calls[0].function.arguments\": is a JSON text with more text",
      })
  void refusesArgumentsThatAreNoObject(String function, String message) {
    String call = "{\"role\":\"assistant\",\"tool_calls\":[{\"function\":" + function + "}]}";

    assertThatThrownBy(() -> messages(turns(call))).hasMessageContaining(message);
  }

  @Test
  void takesEmptyArgumentsAsNone() throws IOException {
    Conversation conversation =
        messages(turns("{'role':'assistant','function_call':{'name':'f','arguments':''}}"));

    assertThat(conversation.messages().get(1).toMap().get("tool_calls"))
        .isEqualTo(
            List.of(
                Map.of(
                    "type", "function", "function", Map.of("name", "f", "arguments", Map.of()))));
  }

  @Test
  void refusesCallsInTwoFieldsAndContentMissingWithoutACall() {
    assertThatThrownBy(
            () ->
                messages(
                    turns(
                        "{'role':'assistant','tool_calls':[{'function':{'name':'f'}}],"
                            + "'function_call':{'name':'f'}}")))
        .hasMessageContaining("messages[1].function_call\": stands beside tool_calls");
    assertThatThrownBy(() -> messages(turns("{'role':'assistant','content':null,'tool_calls':[]}")))
        .hasMessageContaining("messages[1].content\": expected a string, found null");
  }

  @Test
  void understandsShareGptsSpeakers() throws IOException {
    Conversation conversation =
        shareGpt(
            ("{'conversations':[{'from':'human','value':'Go.'},"
                    + "{'from':'function_call','value':'{~name~:~f~,~arguments~:{~a~:1}}'},"
                    + "{'from':'observation','value':'12'},{'from':'function','value':'13'},"
                    + "{'from':'model','value':'OK.'}]}")
                .replace("~", "\\\""));

    assertThat(conversation.messages())
        .extracting(ChatMessage::role)
        .containsExactly("user", "assistant", "tool", "tool", "assistant");
    assertThat(conversation.messages().get(1).toMap())
        .isEqualTo(
            Map.of(
                "role",
                "assistant",
                "tool_calls",
                List.of(
                    Map.of(
                        "type",
                        "function",
                        "function",
                        Map.of("name", "f", "arguments", Map.of("a", 1))))));
  }

  @Test
  void refusesACallThatIsNoJsonOrNamesNoFunction() {
    assertThatThrownBy(
            () -> shareGpt("{'conversations':[{'from':'function_call','value':'f(1)'}]}"))
        .hasMessageContaining("conversations[0].value\": is not readable as JSON text: holds f,");
    assertThatThrownBy(() -> shareGpt("{'conversations':[{'from':'function_call','value':'{}'}]}"))
        .hasMessageContaining("conversations[0].value\": names no function");
  }

  @Test
  void understandsShareGptsNamesOfRolesInMessages() throws IOException {
    assertThat(
            messages(
                "{'messages':[{'role':'human','content':'Go.'},{'role':'model','content':'OK.'},"
                    + "{'role':'critic','content':'x'}]}"))
        .isEqualTo(Conversation.of(GO, OK, ChatMessage.of("critic", "x")));
  }

  @Test
  void pointsToTheOtherReaderWhereTurnsHaveARole() {
    assertThatThrownBy(() -> shareGpt("{'conversations':[{'role':'user','content':'a'}]}"))
        .hasMessageContaining("ConversationReader.messages(\"conversations\")");
  }

  @Test
  void putsTheRecordsSystemMessageFirst() throws IOException {
    String turns = "'conversations':[{'from':'human','value':'Go.'},{'from':'gpt','value':'OK.'}]";

    assertThat(shareGpt("{" + turns + ",'system':'Be a pirate.'}"))
        .isEqualTo(Conversation.of(ChatMessage.system("Be a pirate."), GO, OK));
    assertThat(shareGpt("{" + turns + ",'system':''}")).isEqualTo(Conversation.of(GO, OK));
    assertThatThrownBy(
            () ->
                messages(
                    "{'system':'a','messages':[{'role':'system','content':'b'},"
                        + "{'role':'assistant','content':'c'}]}"))
        .hasMessageContaining("field \"system\": differs from the system's message");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[{'name':'w'}]", "'[{~name~:~w~}]'", "['{~name~:~w~}']"})
  void readsToolsAsObjectsOrAsJsonText(String tools) throws IOException {
    Conversation conversation =
        shareGpt(
            ("{'conversations':[{'from':'gpt','value':'a'}],'tools':" + tools + "}")
                .replace("~", "\\\""));

    assertThat(conversation.tools()).containsExactly(Map.of("name", "w"));
  }

  @Test
  void readsOpenAisOlderFunctionsAndNoToolsInAnEmptyText() throws IOException {
    String turns = "{'messages':[{'role':'assistant','content':'a'}],";

    assertThat(messages(turns + "'functions':[{'name':'w'}]}").tools())
        .containsExactly(Map.of("type", "function", "function", Map.of("name", "w")));
    assertThat(messages(turns + "'tools':''}").tools()).isEmpty();
    assertThatThrownBy(() -> messages(turns + "'tools':'{}'}"))
        .hasMessageContaining(
            "field \"tools\": expected an array in the JSON text, found an object");
  }

  @ParameterizedTest
  @CsvSource({
    "'\"loss\":false', 0",
    "'\"loss\":true', 1",
    "'\"loss\":null', 1",
    "'\"loss\":0.25', 0.25",
    "'\"train\":false', 0",
    "'\"train_on_turn\":false', 0",
    "'\"weight\":0', 0",
    "'\"weight\":0.5', 0.5",
    "'\"weight\":2', 2",
    "'\"weight\":0,\"loss\":false', 0",
  })
  void carriesTheWeightOfAnAnswer(String field, double weight) throws IOException {
    String user = "{'from':'human','value':'Go.','loss':null,'weight':0}";
    Conversation turns =
        shareGpt("{'conversations':[" + user + ",{'from':'gpt','value':'OK.'," + field + "}]}");
    Conversation messages = messages(turns("{'role':'assistant','content':'OK.'," + field + "}"));

    for (Conversation conversation : List.of(turns, messages)) {
      Map<String, ?> answer = conversation.messages().get(1).extra();
      if (weight == 1) {
        assertThat(answer).isEmpty();
      } else {
        assertThat(answer).hasSize(1);
        assertThat(((Number) answer.get(Conversation.WEIGHT)).doubleValue()).isEqualTo(weight);
      }
      assertThat(conversation.messages().get(0)).isEqualTo(GO);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "'\"weight\":-1', 'expected true, false, 0, or a number from 1.4e-45 to 3.4e38, found the number -1'",
    "'\"loss\":\"no\"', 'expected true, false, 0, or a number from 1.4e-45 to 3.4e38, found \"no\"'",
    "'\"loss\":true,\"weight\":0', 'is true, but another field says 0'",
  })
  void refusesOtherWeights(String field, String message) {
    assertThatThrownBy(() -> messages(turns("{'role':'assistant','content':'OK.'," + field + "}")))
        .hasMessageContaining(message);
  }

  @Test
  void refusesToLearnTheTurnsOfOthers() {
    assertThatThrownBy(
            () ->
                messages(
                    "{'messages':[{'role':'user','content':'a','weight':1},"
                        + "{'role':'assistant','content':'b'}]}"))
        .hasMessageContaining(
            "messages[0]\": is to be learnt by its weight, but only the assistant");
  }

  @Test
  void readsAlpacasSystemHistoryAndTools() throws IOException {
    Conversation conversation =
        read(
            ConversationReader.alpaca(),
            "{'instruction':'and then?','input':'x','output':'done','system':'Be brief.',"
                + "'history':[['first?','yes']],'tools':'[]'}");

    assertThat(conversation)
        .isEqualTo(
            Conversation.of(
                ChatMessage.system("Be brief."),
                ChatMessage.user("first?"),
                ChatMessage.assistant("yes"),
                ChatMessage.user("and then?\nx"),
                ChatMessage.assistant("done")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"'system':'a'", "'history':[['q','a']]", "'tools':'[{}]'"})
  void refusesWhatAPromptOfOneInstructionHasNoPlaceFor(String field) throws IOException {
    String name = field.substring(1, field.indexOf("':"));
    Path file =
        Files.writeString(
            folder.resolve("a.jsonl"),
            ("{'instruction':'i','output':'o'," + field + "}").replace('\'', '"'));

    assertThatThrownBy(() -> DataFile.jsonl(file).map(InstructionReader.alpaca()).stream().toList())
        .hasMessageContaining("field \"" + name + "\": has no place")
        .hasMessageContaining("ConversationReader.alpaca()");
    assertThat(
            DataFile.jsonl(file)
                .map(InstructionReader.fields("instruction", "input", "output"))
                .stream()
                .toList())
        .containsExactly(InstructionRecord.of("i", "o"));
  }
}
