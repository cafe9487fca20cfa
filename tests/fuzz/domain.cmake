# The text of a code: what a scanner reads is the one input of the domain that anybody can make up.
if(COMMAND digitalcard_fuzz AND DIGITALCARD_FUZZ)
  digitalcard_fuzz(NAME fuzz_card_code SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_card_code.c
                   LIBRARIES digitalcard_domain CORPUS ${CMAKE_CURRENT_LIST_DIR}/corpus/card_code)
endif()
