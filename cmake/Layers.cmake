# kollator_layer(<name> USES <layers> LIBRARIES <targets>)
#
# One static library for each folder of src/: all *.cc below it, headers beside sources. Its
# *_test.cc files become one GoogleTest program, <name>_test, with the ctest label "unit".
function(kollator_layer name)
    cmake_parse_arguments(LAYER "" "" "USES;LIBRARIES" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
    set(tests ${sources})
    list(FILTER sources EXCLUDE REGEX "_test\\.cc$|/main\\.cc$")
    list(FILTER tests INCLUDE REGEX "_test\\.cc$")

    set_property(GLOBAL APPEND PROPERTY KOLLATOR_LAYERS kollator_${name})
    list(TRANSFORM LAYER_USES PREPEND kollator_)
    if(NOT sources)
        add_library(kollator_${name} INTERFACE)
        target_include_directories(kollator_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
        target_link_libraries(kollator_${name} INTERFACE kollator_flags ${LAYER_USES})
        return()
    endif()
    add_library(kollator_${name} STATIC ${sources})
    target_include_directories(kollator_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(kollator_${name}
        PUBLIC kollator_flags ${LAYER_USES} Threads::Threads
        PRIVATE ${LAYER_LIBRARIES})
    kollator_precompile(kollator_${name})

    if(KOLLATOR_TESTS AND tests)
        add_executable(${name}_test ${tests})
        kollator_precompile(${name}_test TESTS)
        target_include_directories(${name}_test PRIVATE ${CMAKE_SOURCE_DIR})
        target_link_libraries(${name}_test PRIVATE kollator_${name} ${LAYER_LIBRARIES}
            kollator_test_flags)
        add_test(NAME unit.${name} COMMAND ${name}_test --gtest_brief=1)
        set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 300)
    endif()
endfunction()
